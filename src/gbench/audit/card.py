"""The split card: what was measured about a split, in numbers that a page and a result can show."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from gbench.cards import Frozen, Level, Sha256, Verdict

SCHEMA_VERSION = 1
"""Raised whenever the same split would get another card."""
Depth = Literal["quick", "full"]
DIGITS = 6
"""Significant digits of measured numbers: what another machine's arithmetic may change is not written."""
Number = Annotated[float, AfterValidator(lambda value: float(f"{value:.{DIGITS}g}"))]
Fraction = Annotated[Number, Field(ge=0, le=1)]


class Overlap(Frozen):
    """Test rows that have something in common with a training row."""

    count: int
    share: Fraction


class Shared(Frozen):
    """What test rows have in common with training rows."""

    formula: Overlap
    """Reduced formula."""
    chemical_system: Overlap
    """Set of elements."""
    formula_space_group: Overlap | None = None
    """Both; None where it was not looked for (``quick``) and for molecules."""


class Pair(Frozen):
    """A test row and a training row that are duplicates."""

    test: str
    train: str
    exact: bool


class Duplicates(Frozen):
    """Test rows whose structure is in train (:mod:`gbench.audit.duplicates` defines when two are the same)."""

    checked: int
    """Test rows that were looked at; fewer than all where the search had to be bounded. Shares refer to them."""
    near: Overlap
    """Rows with a near-duplicate in train, exact ones included."""
    exact: Overlap
    compared: int
    """Pairs of structures that were compared."""
    examples: tuple[Pair, ...] = ()


class Histogram(Frozen):
    """Two distributions over the same bins."""

    edges: tuple[Number, ...]
    """(bins + 1,)"""
    test: tuple[Number, ...]
    """(bins,) share of the test items."""
    other: tuple[Number, ...]
    """(bins,) share of what they are compared with."""


class Distance(Frozen):
    """How far test items lie from their nearest training item, in one space of features."""

    test: Number
    """Mean over test items."""
    random: Number
    """The same where whole compositions are dealt at random to parts of equal sizes; mean of several draws."""
    random_highest: Number
    """The largest of the draws: what chance alone can reach on a set of this size."""
    ratio: Number
    """``test / random``; 1 where items do not differ at all."""
    histogram: Histogram | None = None
    """Distances of test items against those of the random draws."""


class TwoSample(Frozen):
    """How well a classifier tells test from train."""

    auc: Fraction
    """Area under the ROC curve, cross-validated; 0.5 where they cannot be told apart."""
    rows: int
    """Rows it was given."""


class TargetShift(Frozen):
    """How labels of test and train differ."""

    ks: Fraction
    """Kolmogorov-Smirnov distance: the largest difference of their cumulative distributions."""
    histogram: Histogram | None = None
    """Labels of test against those of train."""


class Floor(Frozen):
    """What a model without a graph reaches on the split."""

    model: str
    metric: Literal["mae", "roc_auc"]
    value: Number
    unit: str
    train_rows: int
    """Rows it was trained on; fewer than all where fitting had to be bounded."""


class HeldOut(Frozen):
    """A group that is in test and not in train."""

    kind: str
    """``element``, ``space group``, ...; the scheme's name for what the scheme itself names."""
    name: str
    count: int | None = None
    """Test rows that belong to it, where that was counted."""


class Points(Frozen):
    """Rows of train and test on the first two principal components of composition and structure features."""

    train: tuple[tuple[float, float], ...]
    test: tuple[tuple[float, float], ...]
    explained: tuple[float, float]
    """Share of the variance along each."""


class Sizes(Frozen):
    """Rows of each part that carry a label of the target."""

    train: int
    val: int
    test: int


class SplitCard(Frozen):
    """A split, measured."""

    schema_version: int = SCHEMA_VERSION
    depth: Depth
    """``quick`` leaves out what needs graphs or models."""
    dataset: str
    version: str
    dataset_sha256: Sha256
    target: str
    level: Level
    unit: str
    split: dict[str, Any]
    """Scheme, parameters and fold."""
    split_sha256: Sha256
    """Hash of the assignment of labelled rows to parts; that of the split itself where every row has a label."""
    sizes: Sizes
    shared: Shared
    duplicates: Duplicates
    composition: Distance
    """Each distinct composition counts once."""
    structure: Distance | None = None
    classifier: TwoSample | None = None
    """None too where test or train is too small to be told apart."""
    target_shift: TargetShift
    floors: tuple[Floor, ...] = ()
    held_out: tuple[HeldOut, ...] = ()
    points: Points | None = None
    ood: bool
    """Whether test lies outside of what train covers, as far as was measured."""
    verdict: Verdict
    why: str
    """One sentence with the numbers behind the verdict."""

    @property
    def headline(self) -> str:
        """``strong shift: nearest-train distance 2.1x that of compositions dealt at random; no formula in common``."""
        return f"{self.verdict}: {self.why}"

    @property
    def name(self) -> str:
        """``cluster, fold 0``."""
        return f"{self.split['scheme']}, fold {self.split['fold']}"

    @property
    def has_drawings(self) -> bool:
        """Whether it holds all that a full card can: quick cards, and those of many stored folds, do not."""
        return self.points is not None

    def numbers(self) -> "SplitCard":
        """The card without what is only drawn."""
        plain = {
            name: found.model_copy(update={"histogram": None})
            for name in ("composition", "structure", "target_shift")
            if (found := getattr(self, name)) is not None
        }
        return self.model_copy(update={**plain, "points": None})
