"""Cards: what a dataset or a model says of itself, checked against a schema."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationError,
    model_serializer,
    model_validator,
)

from gbench.errors import CardError

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Level = Literal["graph", "node", "edge"]
Symmetry = Literal["permutation", "rotation", "translation", "mirror", "cell", "supercell"]
Verdict = Literal["leak", "interpolation", "mild shift", "strong shift"]
"""What a split was measured to be."""
Settings = dict[str, Any]


class Frozen(BaseModel):
    """Immutable; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Options(Frozen):
    """Settings, some of which came after the first results."""

    later: ClassVar[frozenset[str]] = frozenset()
    """Settings that are written only where they are not the default: specs from before them keep their hashes."""

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = serialize(self)
        fields = type(self).model_fields
        return {
            key: value
            for key, value in written.items()
            if key not in self.later or getattr(self, key) != fields[key].default
        }


class GitHubTree(Frozen):
    """A repository at a commit. GitHub packs it anew for each download, so only what is inside has a stable hash."""

    repo: Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")]
    """``owner/name``"""
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]

    @property
    def url(self) -> str:
        """Address of the packed tree."""
        return f"https://codeload.github.com/{self.repo}/tar.gz/{self.commit}"

    @property
    def top(self) -> str:
        """The folder that GitHub packs everything into."""
        return f"{self.repo.partition('/')[2]}-{self.commit}"


class Source(Frozen):
    """One file a dataset is made from, or one archive of which it needs some members."""

    file: Text
    """Name in the cache and in ``GBENCH_MIRROR``."""
    urls: tuple[Text, ...] = ()
    """Addresses, tried in order. Empty for a file that lies beside the card."""
    pypi: Annotated[str, StringConstraints(pattern=r"^[\w.-]+==[\w.]+$")] | None = None
    """``name==version`` of the PyPI package whose wheel ``file`` is; it is downloaded, never installed."""
    github: GitHubTree | None = None
    """The repository ``file`` is packed from; verified by ``tree_sha256``."""
    sha256: Sha256 | None = None
    """Hash of ``file``."""
    tree_sha256: Sha256 | None = None
    """Hash of the members of a tree (:func:`gbench.archives.tree_sha256`)."""
    size: Annotated[int, Field(gt=0)] | None = None
    """Bytes of ``file``, where known; a tree is packed anew each time."""
    root: Text | None = None
    """Folder of the archive that ``members`` are relative to."""
    members: tuple[Text, ...] = ()
    """Names or patterns (``*.cif``) of the members an archive is unpacked for; the loader is given their folder."""

    @model_validator(mode="after")
    def _one_hash(self) -> Self:
        if self.github is None and self.sha256 is None:
            raise ValueError("a file needs sha256")
        if self.github is not None and (self.tree_sha256 is None or not self.members):
            raise ValueError("a GitHub tree needs tree_sha256 and members")
        if self.github is None and self.tree_sha256 is not None:
            raise ValueError("tree_sha256 belongs to a GitHub tree; a file has sha256")
        return self

    @property
    def identity(self) -> str:
        """The hash that pins the content."""
        return self.tree_sha256 or self.sha256 or ""


class Citation(Frozen):
    """How to cite, and where the work is."""

    text: Text
    doi: Text | None = None


class Target(Frozen):
    """One labelled property."""

    level: Level
    unit: Text
    """Unit of the stored values; ``1`` for a pure number."""
    task: Literal["regression", "classification"] = "regression"
    """``classification``: labels are 0 or 1, predictions are the probability of 1."""
    extensive: bool = False
    """Whether a graph target grows with the cell, as a total energy does and an energy per atom does not."""
    directed: bool = False
    """Whether the label of pair (i, j) differs from that of (j, i), as a hop's barrier does; a bond order does not."""
    description: Text
    method: dict[Text, Text]
    """How it was computed: code, functional, cut-off, temperature, magnetic state, as far as they apply."""
    noise: Annotated[float, Field(gt=0)] | None = None
    """Measured label noise in ``unit``: differences between models below it mean nothing."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.extensive and (self.level != "graph" or self.task != "regression"):
            raise ValueError("extensive belongs to graph targets of regression")
        if self.directed and self.level != "edge":
            raise ValueError(f"directed belongs to edge targets, this is a {self.level} target")
        if self.task == "classification" and self.unit != "1":
            raise ValueError(f"a classification target has unit '1', not {self.unit!r}")
        return self


class KFoldSpec(Frozen):
    """Published folds that are a scikit-learn ``KFold`` with shuffling, over rows in file order."""

    n_splits: Annotated[int, Field(ge=2)]
    random_state: int
    stratified: bool = False
    """``StratifiedKFold`` over the labels of the default target instead."""
    test_sha256: tuple[Sha256, ...] = ()
    """For each fold, the hash of its test rows as published (:func:`gbench.splitting.rows_sha256`); what scikit-learn
    deals is held to it."""
    source: Text


class Erratum(Frozen):
    """Rows that were dropped or flagged, and why."""

    ids: tuple[Text, ...] = ()
    """Rows that are dropped from what the loader gives (which may lack those that cannot be read), or flagged in it.
    Empty where the source lacks them already."""
    count: Annotated[int, Field(ge=0)]
    action: Literal["dropped", "flagged"]
    why: Text


class DatasetCard(Frozen):
    """What a dataset is, where it comes from and what its labels mean."""

    name: Text
    version: Text
    title: Text
    description: Text
    licence: Text
    citation: Citation
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    crystals: Annotated[int, Field(gt=0)]
    """Rows, without those that ``errata`` drop."""
    content_sha256: Sha256 | None = None
    """Hash of ids, structures and labels (:meth:`gbench.crystals.Crystals.sha256`). None where only the hashes of the
    sources are published and no gbench developer has read the content."""
    targets: Annotated[dict[Text, Target], Field(min_length=1)]
    default_target: Text
    default_split: Text
    official: KFoldSpec | None = None
    near_duplicates: Text | None = None
    """What near-duplicates the dataset holds, and which splits keep them together."""
    errata: tuple[Erratum, ...] = ()

    @property
    def dropped(self) -> frozenset[str]:
        """Ids that are removed from what the loader gives."""
        return frozenset(name for erratum in self.errata if erratum.action == "dropped" for name in erratum.ids)

    @model_validator(mode="after")
    def _default_exists(self) -> Self:
        if self.default_target not in self.targets:
            raise ValueError(f"default_target {self.default_target!r} is not among targets {sorted(self.targets)}")
        return self


class Paper(Frozen):
    """The publication that defines a model."""

    title: Text
    authors: Text
    year: int
    url: Text


class Defaults(Frozen):
    """Settings a card recommends; each part overrides the part it refines."""

    config: Settings = {}
    graph: Settings = {}
    training: Settings = {}

    @property
    def words(self) -> list[str]:
        """As on the command line: ``["model.hidden=64", "graph.cutoff=5.0"]``."""
        sections = {"model": self.config, "graph": self.graph, "training": self.training}
        return [f"{section}.{key}={value}" for section, values in sections.items() for key, value in values.items()]


class ModelCard(Frozen):
    """What a baseline is, what it claims and how it is best run."""

    name: Text
    title: Text
    description: Text
    framework: Literal["numpy", "scikit-learn", "torch", "pyg"]
    dgl: bool = False
    """Whether it runs on DGL too, with the same weights (``gbench run --framework dgl``)."""
    paper: Paper | None = None
    licence: Text
    levels: Annotated[tuple[Level, ...], Field(min_length=1)]
    symmetries: tuple[Symmetry, ...] = ()
    """Transformations that provably leave its predictions alone; the tests hold it to each."""
    defaults: Defaults = Defaults()
    tuned: dict[Text, Defaults] = {}
    """Settings by dataset: chosen on validation data, or, where ``tuning`` says so, for what a run costs."""
    tuning: Text | None = None
    """How the settings were chosen, and what did not help."""


CardT = TypeVar("CardT", DatasetCard, ModelCard)


def read_card(kind: type[CardT], path: Path) -> CardT:
    """The card in ``path``, checked; its folder must carry its name.

    Raises:
        CardError: not YAML, an unknown or missing key, a bad value, or a name that is not the folder's.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CardError(f"{path}: cannot be read ({error.strerror}); every entry needs a card.yaml") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CardError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise CardError(f"{path}: a card is a mapping of keys to values, not a {type(raw).__name__}")
    card = validate(kind, raw, str(path), CardError)
    if card.name != path.parent.name:
        raise CardError(f"{path}: name is {card.name!r} but the folder is {path.parent.name!r}; make them equal")
    return card


ModelT = TypeVar("ModelT", bound=BaseModel)


def validate(kind: type[ModelT], raw: Mapping[str, Any], where: str, error_type: type[Exception]) -> ModelT:
    """``raw`` as ``kind``, or the first problem as one sentence that names the key and ``where`` it stands."""
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise error_type(f"{where}: {explain(kind, error)}") from error


def explain(kind: type[BaseModel], error: ValidationError) -> str:
    """The problems of a failed validation in words, the first in full."""
    import difflib

    problems = error.errors()
    first = problems[0]
    key = ".".join(str(part) for part in first["loc"]) or "value"
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(first["loc"][-1]), _field_names(kind), n=1)
        text = f"unknown key {key!r}" + (f"; did you mean {close[0]!r}?" if close else "")
    elif first["type"] == "missing":
        text = f"key {key!r} is missing"
    else:
        text = first["msg"].removeprefix("Value error, ")
        # of parts that do not fit together, the sentence names what matters
        if not isinstance(first["input"], Mapping):
            text += f", got {first['input']!r}"
        text = f"{key}: {text}" if first["loc"] else text
    more = len(problems) - 1
    return text + (f" (and {more} more problem{'s' if more > 1 else ''})" if more else "")


def _field_names(kind: type[BaseModel]) -> list[str]:
    names = list(kind.model_fields)
    for field in kind.model_fields.values():
        for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(part, type) and issubclass(part, BaseModel):
                names += _field_names(part)
    return names
