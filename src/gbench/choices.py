"""From what a person chooses to the full spec of a run."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from gbench.cards import DatasetCard, Defaults, Frozen, ModelT, Settings, Target, validate
from gbench.errors import SpecError, unknown
from gbench.registry import dataset_card, model_card, model_origin
from gbench.spec import GraphSpec, RunSpec, Seed, SplitSpec, Training


class Choices(Frozen):
    """What a person chooses; :func:`resolve` adds what the cards recommend."""

    model: str
    """A name, or the folder of a model from outside, with a separator: ``./my_model``."""
    dataset: str = "pbe_prototypes"
    target: str | None = None
    beside: tuple[str, ...] = ()
    """Targets that a network learns together with ``target``."""
    split: str | None = None
    fold: Annotated[int, Field(ge=0)] = 0
    seed: Seed = 0
    overrides: Settings = {}
    """Dotted key -> value: ``{"model.hidden": 64, "training.epochs": 50, "graph.cutoff": 6.0}``."""


def resolve(choices: Choices) -> RunSpec:
    """The full spec of a run: card defaults, then settings tuned for the dataset, then the overrides.

    Raises:
        UnknownNameError: a model, dataset, target, split or settings key that does not exist.
        SpecError: a value out of range, a model that has no head for the target's level, or targets that no network
            can learn together.
    """
    data, card = dataset_card(choices.dataset), model_card(choices.model)
    target = choices.target or data.default_target
    beside = _beside(data, target, choices.beside)
    level = data.targets[target].level
    if level not in card.levels:
        raise SpecError(
            f"model {card.name!r} predicts at level {' and '.join(card.levels)}, but {data.name}/{target} is a {level} "
            f"target; choose another target or model"
        )
    split = split_spec(choices.split or data.default_split, choices.overrides, choices.fold, target)
    # names are checked before torch is imported, so that a slip of the pen is answered at once
    from gbench.model import Model
    from gbench.registry import model_class

    model = model_class(choices.model)
    sections = _by_section(choices.overrides)
    tuned = card.tuned.get(data.name, Defaults())

    def section(name: Literal["config", "graph", "training"], key: str) -> Settings:
        recommended, chosen = [getattr(defaults, name) for defaults in (card.defaults, tuned)], sections.get(key, {})
        if name == "graph":
            recommended = _for_kind(recommended, chosen.get("kind"))
        return {**recommended[0], **recommended[1], **chosen}

    uses_graph, trained = model.uses_graph, issubclass(model, Model)
    for key, used in (("graph", uses_graph), ("training", trained)):
        if sections.get(key) and not used:
            raise SpecError(f"model {card.name!r} has no {key} settings; drop --set {key}.*")
    return RunSpec(
        dataset=data.name,
        version=data.version,
        target=target,
        # a model that fits itself learns each target for itself
        beside=beside if trained else (),
        model=card.name,
        config=_build(model.Config, section("config", "model"), "model").model_dump(mode="json"),
        graph=_build(GraphSpec, section("graph", "graph"), "graph") if uses_graph else None,
        split=split,
        training=_build(Training, section("training", "training"), "training") if trained else None,
        seed=choices.seed,
        origin=model_origin(choices.model),
    )


def resolve_each(choices: Choices) -> tuple[RunSpec, ...]:
    """The specs of all targets that were chosen: those of one training, or, of a model that fits itself, of one each.

    Raises:
        GbenchError: as :func:`resolve`.
    """
    spec = resolve(choices)
    if spec.beside:
        return spec.together()
    return tuple(spec.model_copy(update={"target": target}) for target in sorted({spec.target, *choices.beside}))


def _beside(data: DatasetCard, target: str, others: Sequence[str]) -> tuple[str, ...]:
    """The targets beside ``target``, by name, once it is known that one network can learn them together."""
    for name in (target, *others):
        if name not in data.targets:
            raise unknown(f"target of {data.name}", name, data.targets)
        if _kind(data.targets[name]) != _kind(data.targets[target]):
            raise SpecError(
                f"targets that are learned together are of one kind, but {data.name}/{target} is a "
                f"{_kind(data.targets[target])} and {name} a {_kind(data.targets[name])}; run them one by one"
            )
    return tuple(sorted({*others} - {target}))


def _kind(about: Target) -> str:
    return f"{'directed ' if about.directed else ''}{about.level} target of {about.task}"


def _for_kind(layers: Sequence[Settings], kind: Any) -> list[Settings]:
    """Without what was recommended for another kind of graph than was chosen: its cut-off or k mean nothing here."""
    kept, current = [], None
    for layer in layers:
        current = layer.get("kind", current)
        fits = kind is None or kind == current
        kept.append(layer if fits else {key: value for key, value in layer.items() if key == "on_short"})
    return kept


def check(spec: RunSpec) -> RunSpec:
    """The spec, if it names what exists here and its parts fit the model.

    Raises:
        UnknownNameError: a model, dataset, target or setting that does not exist.
        SpecError: settings the model has no use for, or lacks.
    """
    from gbench.registry import class_of

    kind = class_of(spec)
    chosen = Choices(
        model=spec.reference, dataset=spec.dataset, target=spec.target, beside=spec.beside, split=spec.split.scheme
    )
    likely = resolve(chosen)
    if spec.beside and not likely.beside:
        raise SpecError(f"model {spec.model!r} learns each target for itself; take `beside` out of the spec")
    for name in ("graph", "training"):
        if (getattr(spec, name) is None) != (getattr(likely, name) is None):
            has = "no" if getattr(likely, name) is None else "a"
            raise SpecError(f"model {spec.model!r} takes {has} {name} section; mend the spec")
    _build(kind.Config, spec.config, "model")
    return spec


def split_spec(scheme: str, overrides: Mapping[str, Any], fold: int = 0, target: str | None = None) -> SplitSpec:
    """The spec of a split scheme with the ``split.*`` overrides, for a target where the scheme looks at one.

    Raises:
        UnknownNameError: no such scheme or parameter.
        SpecError: a value out of range.
    """
    from gbench.splitting.scheme import schemes

    if scheme not in schemes():
        raise unknown("split", scheme, schemes(), "gbench splits list")
    spec = schemes()[scheme].spec
    about = {"target": target} if target and "target" in spec.model_fields else {}
    return _build(spec, {"fold": fold, **about, **_by_section(overrides).get("split", {})}, "split")


def graph_spec(overrides: Mapping[str, Any]) -> GraphSpec:
    """The spec of graphs with the ``graph.*`` overrides; nothing else can be set where there is no model.

    Raises:
        UnknownNameError: no such section or setting.
        SpecError: a value out of range, or settings of another section.
    """
    sections = _by_section(overrides)
    others = [section for section in sections if section != "graph"]
    if others:
        raise SpecError(f"graphs have no {others[0]} settings; drop --set {others[0]}.*")
    return _build(GraphSpec, sections.get("graph", {}), "graph")


def parse_overrides(settings: Sequence[str]) -> Settings:
    """``["model.hidden=64"]`` -> ``{"model.hidden": 64}``; values are YAML.

    Raises:
        SpecError: no ``=``, or a value that is not YAML.
    """
    overrides: Settings = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or "." not in key:
            raise SpecError(f"--set {setting}: write section.key=value, e.g. --set training.epochs=50")
        try:
            overrides[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise SpecError(f"--set {setting}: {value!r} is not a value; quote text that holds : or {{") from error
    return overrides


def _by_section(overrides: Mapping[str, Any]) -> dict[str, Settings]:
    known = ("model", "graph", "split", "training")
    sections: dict[str, Settings] = {}
    for dotted, value in overrides.items():
        section, _, key = dotted.partition(".")
        if section not in known:
            raise unknown("settings section", section, known)
        sections.setdefault(section, {})[key] = value
    return sections


def _build(kind: type[ModelT], settings: Settings, section: str) -> ModelT:
    for key in settings:
        if key not in kind.model_fields:
            raise unknown(f"{section} setting", key, kind.model_fields)
    return validate(kind, settings, f"{section} settings", SpecError)
