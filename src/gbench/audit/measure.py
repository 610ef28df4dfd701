"""Measuring a split: its card."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gbench.audit.card import (
    Depth,
    Distance,
    Overlap,
    Points,
    Shared,
    Sizes,
    SplitCard,
    TargetShift,
    TwoSample,
)
from gbench.audit.classifier import tell_apart
from gbench.audit.duplicates import Search, find_duplicates, overlap
from gbench.audit.facts import Facts, Parts, Progress, silent
from gbench.audit.floors import floors
from gbench.audit.held_out import held_out
from gbench.audit.shift import composition_distance, histogram, structure_distance
from gbench.audit.verdict import Evidence, judge
from gbench.crystals import FloatArray, IntArray
from gbench.errors import SplitError
from gbench.spec import SplitSpec
from gbench.splitting import LETTERS, Split

SEARCH_SECONDS: dict[Depth, float] = {"quick": 8.0, "full": 400.0}
"""Expected seconds, on one processor, of the search for near-duplicates."""
MOST_POINTS = 300
"""Rows of each part that are drawn."""


def audit(
    facts: Facts, split: Split, spec: SplitSpec, target: str, depth: Depth = "full", progress: Progress = silent
) -> SplitCard:
    """The card of a split of a dataset for a target: everything that science asks of a split, measured.

    Only rows with a label of the target count. The same dataset version and split give the same card, whatever the
    order of rows.

    Raises:
        SplitError: train or test holds no labelled row.
    """
    dataset, full = facts.dataset, depth == "full"
    parts = labelled_parts(facts, split, target)
    about = dataset.card.targets[target]
    structure, classifier = _by_features(facts, parts, progress) if full else (None, None)
    evidence = Evidence(
        noun="molecules" if not dataset.crystals.pbc.any() else "crystals",
        shared=_shared(facts, parts, with_symmetry=full),
        duplicates=find_duplicates(Search(facts, parts, SEARCH_SECONDS[depth]), progress),
        target_shift=_target_shift(facts, parts, target),
        composition=composition_distance(facts, parts),
        structure=structure,
        classifier=classifier,
    )
    judgement = judge(evidence)
    return SplitCard(
        depth=depth,
        dataset=dataset.card.name,
        version=dataset.card.version,
        dataset_sha256=dataset.sha256,
        target=target,
        level=about.level,
        unit=about.unit,
        split=spec.model_dump(mode="json"),
        split_sha256=assignment_sha256(facts, split, target),
        sizes=Sizes(train=len(parts.train), val=len(parts.val), test=len(parts.test)),
        **{name: value for name, value in evidence._asdict().items() if name != "noun"},
        floors=floors(facts, parts, target, progress) if full else (),
        held_out=held_out(facts, parts, split, spec) if full else (),
        points=_points(facts, parts) if full else None,
        **judgement._asdict(),
    )


def labelled_parts(facts: Facts, split: Split, target: str) -> Parts:
    """The rows of each part that carry a label, in order of ids.

    Raises:
        SplitError: train or test holds none.
    """
    known = facts.dataset.labelled_rows(target)
    rows = facts.by_id[np.isin(facts.by_id, known)]
    parts = Parts(*(rows[np.isin(rows, part)] for part in (split.train, split.val, split.test)))
    for name in ("train", "test"):
        if not len(getattr(parts, name)):
            raise SplitError(f"no row of the {name} part has a label for {target!r}; choose another target or split")
    return parts


def assignment_sha256(facts: Facts, split: Split, target: str) -> str:
    """Hash of the parts of the labelled rows, a letter per row and ``-`` for the rest.

    Where every row has a label it is :attr:`gbench.splitting.Split.sha256`.
    """
    letters = np.full(len(facts.dataset.crystals), "-")
    known = facts.dataset.labelled_rows(target)
    for part, letter in LETTERS.items():
        letters[np.intersect1d(getattr(split, part), known)] = letter
    return hashlib.sha256("".join(letters).encode()).hexdigest()


def _by_features(facts: Facts, parts: Parts, progress: Progress) -> tuple[Distance, TwoSample | None]:
    progress("structure features", 0, 1)
    structure = structure_distance(facts, parts)
    progress("classifier", 0, 1)
    return structure, tell_apart(facts, parts)


def _shared(facts: Facts, parts: Parts, *, with_symmetry: bool) -> Shared:
    both: Overlap | None = None
    if with_symmetry and facts.symmetry is not None:
        number = np.char.mod(" %d", facts.symmetry.number)
        both = _in_common(np.char.add(facts.formulas, number), parts)
    return Shared(
        formula=_in_common(facts.formulas, parts),
        chemical_system=_in_common(facts.systems, parts),
        formula_space_group=both,
    )


def _in_common(keys: NDArray[Any], parts: Parts) -> Overlap:
    return overlap(int(np.isin(keys[parts.test], keys[parts.train]).sum()), len(parts.test))


def _target_shift(facts: Facts, parts: Parts, target: str) -> TargetShift:
    """Over the labelled items: crystals, sites or pairs."""
    from scipy.stats import ks_2samp

    labels, owner = facts.dataset.labels(target), facts.dataset.row_of_item(target)

    def of(rows: IntArray) -> FloatArray:
        values = labels[np.isin(owner, rows)]
        return np.sort(values[~np.isnan(values)])

    train, test = of(parts.train), of(parts.test)
    found: Any = ks_2samp(train, test, method="asymp")
    return TargetShift(ks=float(found.statistic), histogram=histogram(test, train))


def _points(facts: Facts, parts: Parts, seed: int = 0) -> Points:
    """Principal components of composition and structure features, fitted to both parts.

    Each part is cut to ``MOST_POINTS`` random rows.
    """
    rng = np.random.default_rng(seed)
    drawn = [part[np.sort(rng.permutation(len(part))[:MOST_POINTS])] for part in (parts.train, parts.test)]
    both = facts.features[np.concatenate(drawn)]
    centred = both - both.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2] * np.sign(axes[:2][np.arange(2), np.abs(axes[:2]).argmax(axis=1)])[:, None]
    flat = np.round(centred @ axes.T, 2) + 0.0
    points = [(float(x), float(y)) for x, y in flat]
    total = float((sizes**2).sum()) or 1.0
    return Points(
        train=tuple(points[: len(drawn[0])]),
        test=tuple(points[len(drawn[0]) :]),
        explained=(round(float(sizes[0] ** 2) / total, 3), round(float(sizes[1] ** 2) / total, 3)),
    )
