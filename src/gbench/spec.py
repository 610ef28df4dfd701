"""A run, fully described: the same spec is the same run, and its hash is the run's name."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from gbench.cards import Frozen, Options, Settings, Sha256

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Share = Annotated[float, Field(gt=0, lt=1)]
Precision = Literal["float32", "float64", "bfloat16"]
VORONOI_TOL = 1e-3


class GraphSpec(Frozen):
    """How atoms become a graph. Same structures and same spec give the same graph on every machine."""

    kind: Literal["radius", "knn", "voronoi"] = "radius"
    """``radius``: all within the cut-off. ``knn``: the nearest. ``voronoi``: those that share a Voronoi face."""
    cutoff: Annotated[float, Field(gt=0, le=30)] = 5.0
    """Å; edges are strictly shorter. For ``knn`` the radius within which neighbours are sought."""
    neighbors: Annotated[int, Field(ge=1, le=1000)] | None = None
    """k of ``knn``."""
    shells: Literal["whole", "cut"] = "whole"
    """``whole``: ties with the k-th neighbour (within 1e-3 Å) stay, so the graph does not depend on the cell.
    ``cut``: exactly k; which of the tied neighbours stay is arbitrary."""
    on_short: Literal["error", "pad", "grow"] = "error"
    """What to do with an atom that has no neighbour (``radius``, ``voronoi``) or fewer than k (``knn``) inside the
    cut-off: refuse, leave it short, or grow the radius for that atom alone until it has them, in whole shells."""
    tol: Annotated[float, Field(ge=0, lt=0.5)] | None = None
    """Of ``voronoi``: a face counts if its solid angle is more than this share of the full sphere. 0.001 unless
    chosen; at 0, faces of perfect crystals that touch in a point come and go with rounding noise."""

    @model_validator(mode="before")
    @classmethod
    def _voronoi_has_a_tolerance(cls, settings: Any) -> Any:
        if isinstance(settings, Mapping) and settings.get("kind") == "voronoi" and settings.get("tol") is None:
            return {**settings, "tol": VORONOI_TOL}
        return settings

    @model_validator(mode="after")
    def _settings_belong_to_the_kind(self) -> Self:
        if self.kind == "knn" and self.neighbors is None:
            raise ValueError("kind 'knn' needs neighbors, e.g. neighbors: 12")
        if self.kind == "radius" and self.neighbors is not None:
            raise ValueError("neighbors belongs to kind 'knn'; a radius graph keeps all within the cut-off")
        if self.kind == "voronoi" and self.neighbors is not None:
            raise ValueError("neighbors belongs to kind 'knn'; a voronoi graph keeps all that share a face")
        if self.kind != "voronoi" and self.tol is not None:
            raise ValueError(f"tol belongs to kind 'voronoi'; drop it, or write kind: voronoi instead of {self.kind}")
        return self

    @model_serializer(mode="wrap")
    def _without_absent_tol(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # a spec without Voronoi faces is written, and hashed, as if there were none to speak of
        written: dict[str, Any] = serialize(self)
        if self.tol is None:
            written.pop("tol", None)
        return written

    def describe(self) -> str:
        """The spec in a few words: ``radius 5.0 Å`` or ``knn 12 within 8.0 Å``."""
        if self.kind == "radius":
            return f"radius {self.cutoff} Å"
        if self.kind == "voronoi":
            return f"voronoi faces > {self.tol:g} within {self.cutoff} Å"
        return f"knn {self.neighbors} within {self.cutoff} Å" + (" (cut shells)" if self.shells == "cut" else "")


class SplitSpec(Frozen):
    """What every split scheme has; the specs of the schemes are made from their functions (:mod:`gbench.splitting`)."""

    scheme: str = ""
    fold: Annotated[int, Field(ge=0)] = 0
    val_share: Share = 0.1
    """Share of the training side that becomes validation."""
    seed: Seed = 0
    n_inner: Annotated[int, Field(ge=2)] | None = None
    """Nested cross-validation: the training side has this many inner folds, and ``inner`` of them is validation."""
    inner: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _inner_fold_exists(self) -> Self:
        if self.inner is not None and (self.n_inner is None or self.inner >= self.n_inner):
            raise ValueError(f"inner fold {self.inner} needs split.n_inner above it")
        return self

    @model_serializer(mode="wrap")
    def _without_absent_nesting(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # a split that is not nested is written, and hashed, as if there were no nesting to speak of
        written: dict[str, Any] = serialize(self)
        return {key: value for key, value in written.items() if value is not None or key not in ("n_inner", "inner")}


class GroupedSplit(SplitSpec):
    """Schemes that hold out whole groups; every group is test in exactly one of the folds."""

    n_folds: Annotated[int, Field(ge=2)] | Literal["all"] = 5
    """``all``: every group is a fold of its own (leave one group out)."""


class MemberSplit(SplitSpec):
    """Schemes that hold out every row that contains something; ``fold`` says what, or ``hold`` does."""

    hold: tuple[str, ...] = ()
    """Names of what is held out, e.g. ``[Fe, Co]``; empty leaves it to ``fold``."""
    min_share: Annotated[float, Field(ge=0, le=1)] = 0.01
    """What is in fewer of the rows is no fold."""
    max_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """What is in more of the rows is no fold."""


class ExtremeSplit(SplitSpec):
    """Schemes that hold out one end of a scale; they have one fold."""

    test_share: Annotated[float, Field(gt=0, lt=0.9)] = 0.2


class OfficialSplit(SplitSpec):
    """Folds that somebody published."""


def _parse_split(value: Any) -> Any:
    """A scheme's own spec from its parameters."""
    if not isinstance(value, Mapping):
        return value
    from gbench.splitting.scheme import schemes

    name = value.get("scheme")
    if name not in schemes():
        raise ValueError(f"no split scheme {name!r}; known: {', '.join(schemes())}")
    return schemes()[str(name)].spec.model_validate(value)


AnySplit = Annotated[SerializeAsAny[SplitSpec], BeforeValidator(_parse_split)]
"""A :class:`SplitSpec` of any scheme."""


class Training(Options):
    """Settings of the training loop."""

    later: ClassVar[frozenset[str]] = frozenset({"members", "precision"})

    epochs: Annotated[int, Field(ge=1)] = 200
    batch_size: Annotated[int, Field(ge=1)] = 64
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    """Peak of the schedule."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    schedule: Literal["one-cycle", "cosine"] = "one-cycle"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of all steps in which the rate rises."""
    loss: Literal["l1", "l2", "huber"] = "l1"
    clip_norm: Annotated[float, Field(gt=0)] | None = 10.0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay per step of the averaged weights that are evaluated; 0 evaluates the weights themselves."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Epochs without a better validation error after which training stops; None trains to the end."""
    members: Annotated[int, Field(ge=1, le=100)] = 1
    """Networks that learn side by side and whose predictions are averaged (:mod:`gbench.members`)."""
    precision: Precision = "float32"
    """``bfloat16``: networks multiply matrices in 16 bits; weights, sums and the loss stay in float32. ``float64``: all
    of it, to see what rounding does."""


class Origin(Frozen):
    """Where the code of a model from outside gbench came from."""

    sha256: Sha256
    """Of its card and code."""
    path: str | None = None
    """Its folder, as it was named. No part of the run's identity: a folder that is moved is the same model."""
    package: str | None = None
    """``name==version`` of the installed package that offers it."""

    @model_serializer(mode="wrap")
    def _without_absent(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in serialize(self).items() if value is not None}


def _by_name(targets: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(targets)) < len(targets):
        raise ValueError("names a target twice; name each once")
    return tuple(sorted(targets))


class RunSpec(Frozen):
    """Everything that decides a result."""

    dataset: str
    version: str
    target: str
    beside: Annotated[tuple[str, ...], AfterValidator(_by_name)] = ()
    """Targets that the network learns together with this one, by name. One training gives a result for each of them;
    empty for a target that is learned alone."""
    model: str
    config: Settings = {}
    graph: GraphSpec | None
    """None for a model that uses no edges."""
    split: AnySplit
    training: Training | None
    """None for a model that is not trained by the loop."""
    seed: Seed = 0
    origin: Origin | None = None
    """Of a model from outside; None for gbench's own."""

    @model_validator(mode="after")
    def _beside_is_other_targets(self) -> Self:
        if self.target in self.beside:
            raise ValueError(f"beside names the target {self.target!r} itself; leave it out there")
        return self

    @model_serializer(mode="wrap")
    def _without_absent(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # gbench's own models and targets alone are written, and hashed, as if there were no others to speak of
        written: dict[str, Any] = serialize(self)
        for key in ("origin", "beside"):
            if not getattr(self, key):
                written.pop(key, None)
        return written

    @property
    def learned(self) -> tuple[str, ...]:
        """All targets that the model learns, in the order of its outputs."""
        return tuple(sorted((self.target, *self.beside)))

    def together(self) -> "tuple[RunSpec, ...]":
        """The specs that one training gives results for: one for each target it learns, in the order of outputs."""
        return tuple(
            self.model_copy(update={"target": target, "beside": tuple(t for t in self.learned if t != target)})
            for target in self.learned
        )

    @property
    def reference(self) -> str:
        """What names the model here: its name, or the folder it was found in."""
        return self.origin.path if self.origin and self.origin.path else self.model

    def canonical(self) -> str:
        """Canonical JSON: sorted keys, no spaces, without where a model from outside lay."""
        written = self.model_dump(mode="json", exclude={"origin": {"path"}})
        return json.dumps(written, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def run_id(self) -> str:
        """First 12 hexadecimal digits of the sha256 of the canonical JSON."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:12]
