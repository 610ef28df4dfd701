"""The settings that a search may change, and between which values."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import yaml
from pydantic import ValidationError

from gbench.cards import Settings
from gbench.choices import Choices, resolve
from gbench.errors import GbenchError, SpecError
from gbench.model import Predictor
from gbench.registry import class_of, dataset_card
from gbench.spec import RunSpec, Training

if TYPE_CHECKING:
    from optuna.trial import Trial

BUILT_IN = "built-in"
BUILT_IN_SPACE = {
    "training.learning_rate": "log:3e-4:1e-2",
    "training.weight_decay": "log:1e-3:1",
    "training.ema": "0.0, 0.99",
    "model.hidden": "32, 64, 128",
    "model.layers": "int:2:5",
    "model.blocks": "int:1:4",
    "model.readout": "mean, max, attention, set2set",
    "model.norm": "none, layer",
}
"""What is searched unless something else is chosen; of it, what a model has. No readout ``sum``: with it,
predictions grow with the cell."""
GRAMMAR = "write log:1e-4:1e-2, float:0:0.5, int:2:5, or values as mean, max, set2set"
EXPONENT = re.compile(r"[-+]?\d+\.?\d*[eE][-+]?\d+")
DIGITS = 3
"""Significant digits of a number that is tried: more would be noise, and cannot be read on a card."""


class Values(NamedTuple):
    """One of some values."""

    texts: tuple[str, ...]
    """Each as YAML, which Optuna can store whatever it is."""

    @classmethod
    def of(cls, values: Sequence[Any]) -> "Values":
        """Of values as YAML reads them, to which 1e-3 is a text."""
        read = (float(one) if isinstance(one, str) and EXPONENT.fullmatch(one) else one for one in values)
        return cls(tuple(dict.fromkeys(map(as_yaml, read))))

    def suggest(self, trial: "Trial", key: str) -> None:
        """Let Optuna choose, unless it has."""
        trial.suggest_categorical(key, self.texts)

    def setting(self, chosen: Any) -> Any:
        """The value of a setting that Optuna's choice stands for."""
        return yaml.safe_load(chosen)

    def choice(self, setting: Any) -> str | None:
        """Optuna's choice that stands for the value of a setting; None where it is none of the values."""
        # 0 and 0.0 are one setting, false is another
        same = (text for text in self.texts if (value := yaml.safe_load(text)) == setting and _is_bool(value, setting))
        return next(same, None)

    def ends(self) -> Iterator[Any]:
        """Values that must all be allowed."""
        yield from map(self.setting, self.texts)

    def including(self, setting: Any) -> "Values":
        """These, and this one."""
        return self if self.choice(setting) is not None else Values((as_yaml(setting), *self.texts))

    def __str__(self) -> str:
        return ", ".join(self.texts)


class Range(NamedTuple):
    """A number between two others, which count."""

    kind: Literal["int", "float", "log"]
    low: float
    high: float

    def suggest(self, trial: "Trial", key: str) -> None:
        """Let Optuna choose, unless it has."""
        if self.kind == "int":
            trial.suggest_int(key, int(self.low), int(self.high))
        else:
            trial.suggest_float(key, self.low, self.high, log=self.kind == "log")

    def setting(self, chosen: Any) -> Any:
        """The value of a setting that Optuna's choice stands for."""
        return int(chosen) if self.kind == "int" else float(f"{chosen:.{DIGITS}g}")

    def choice(self, setting: Any) -> float | None:
        """Optuna's choice that stands for the value of a setting; None where it is outside."""
        inside = isinstance(setting, int | float) and self.low <= setting <= self.high
        return setting if inside else None

    def ends(self) -> Iterator[Any]:
        """Values that must all be allowed."""
        yield from (self.setting(self.low), self.setting(self.high))

    def including(self, setting: Any) -> "Range":
        """This range, made larger where it lacks the setting; one of a logarithm has no 0."""
        if not isinstance(setting, int | float) or (self.kind == "log" and setting <= 0):
            return self
        return Range(self.kind, min(self.low, setting), max(self.high, setting))

    def __str__(self) -> str:
        return f"{self.kind}:{self.low:g}:{self.high:g}"


def _is_bool(value: Any, other: Any) -> bool:
    return isinstance(value, bool) == isinstance(other, bool)


Space = dict[str, Values | Range]
"""Dotted key of a setting -> what it may be."""


def as_yaml(value: Any) -> str:
    """A value on one line, as ``--set`` takes it."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False)
    return text.removesuffix("...\n").strip()


def parse(key: str, written: Any) -> Values | Range:
    """What a setting may be, from ``log:1e-4:1e-2``, ``mean, max`` or, in a file, a list.

    Raises:
        SpecError: it is neither.
    """
    if isinstance(written, list) and written:
        return Values.of(written)
    where = f"--space {key}={written}"
    if not isinstance(written, str) or not written.strip():
        raise SpecError(f"{where}: {GRAMMAR}")
    kind, *ends = written.split(":")
    if kind in ("int", "float", "log"):
        return _range(where, kind, ends)
    try:
        values = yaml.safe_load(f"[{written}]")
    except yaml.YAMLError as error:
        raise SpecError(f"{where}: {GRAMMAR}") from error
    if any(isinstance(value, dict) for value in values):
        raise SpecError(f"{where}: {GRAMMAR}")
    return Values.of(values)


def _range(where: str, kind: Any, ends: Sequence[str]) -> Range:
    try:
        low, high = (int(end) if kind == "int" else float(end) for end in ends)
    except ValueError as error:
        raise SpecError(f"{where}: {GRAMMAR}") from error
    if not low < high < float("inf") or (kind == "log" and low <= 0):
        above = ", which is above 0," if kind == "log" else ""
        raise SpecError(f"{where}: give the lower end{above} and then the higher one")
    return Range(kind, low, high)


def parse_space(given: Sequence[str], choices: Choices) -> Space:
    """The space that ``--space`` describes: ``built-in``, files, and ``section.key=...``; what comes later counts.

    What ``choices`` set is not searched.

    Raises:
        SpecError: a file or a text that is no space, a setting that is set besides, values a model does not take.
        UnknownNameError: a setting that does not exist.
    """
    base = resolve(choices)
    space: Space = {}
    for one in given or (BUILT_IN,):
        if one == BUILT_IN:
            own = {key: what for key, what in built_in(base).items() if key not in choices.overrides}
            space = {**space, **own}
        elif "=" in one:
            key, _, written = one.partition("=")
            space[key.strip()] = parse(key.strip(), written)
        else:
            space |= _read(Path(one))
    for key in choices.overrides:
        if key in space:
            raise SpecError(f"{key} is set and searched at once; drop --set {key} or --space {key}")
    if not space:
        raise SpecError("there is nothing to search; give --space section.key=..., e.g. --space model.hidden=32,64")
    check(space, choices)
    return space


def check(space: Space, choices: Choices) -> None:
    """Each end of each setting, on its own, must make a run.

    Raises:
        GbenchError: one does not.
    """
    for key, what in space.items():
        if key.startswith("split."):
            raise SpecError(f"{key} cannot be searched: it decides which rows are validation; choose it with --set")
        for value in what.ends():
            try:
                resolve(choices.model_copy(update={"overrides": {**choices.overrides, key: value}}))
            except GbenchError as error:
                raise type(error)(f"--space {key}={what}: {error}") from error


def _read(path: Path) -> Space:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise SpecError(f"--space {path}: cannot be read ({why}); give `{BUILT_IN}`, a file, or key=values") from error
    except yaml.YAMLError as error:
        raise SpecError(f"--space {path}: not valid YAML ({error})") from error
    if not isinstance(raw, dict):
        raise SpecError(f"--space {path}: a space is a mapping, e.g. `training.learning_rate: log:1e-4:1e-2`")
    return {str(key): parse(str(key), written) for key, written in raw.items()}


def built_in(base: RunSpec) -> Space:
    """Of :data:`BUILT_IN_SPACE` what the model of ``base`` has and takes, and the settings of ``base`` themselves."""
    kind, level = class_of(base), dataset_card(base.dataset).targets[base.target].level
    space: Space = {}
    for key, written in BUILT_IN_SPACE.items():
        section, _, name = key.partition(".")
        if name not in (Training if section == "training" else kind.Config).model_fields:
            continue
        if name == "readout" and level != "graph":
            continue
        what = parse(key, written)
        if isinstance(what, Values):
            what = Values(tuple(text for text in what.texts if _takes(kind, base, section, name, what.setting(text))))
        elif not all(_takes(kind, base, section, name, end) for end in what.ends()):
            continue
        space[key] = what.including(settings_of(base)[key])
    return space


def _takes(kind: type[Predictor], base: RunSpec, section: str, name: str, value: Any) -> bool:
    if section == "training":
        return True
    try:
        kind.Config.model_validate({**base.config, name: value})
    except ValidationError:
        return False
    return True


def settings_of(spec: RunSpec) -> Settings:
    """The settings of a spec by dotted key, defaults included."""
    config = class_of(spec).Config.model_validate(spec.config)
    # what is written leaves some defaults out
    named: Mapping[str, Any] = {"model": config, "training": spec.training, "graph": spec.graph}
    plain = {
        f"{section}.{name}": getattr(part, name)
        for section, part in named.items()
        if part is not None
        for name in type(part).model_fields
    }
    return json.loads(json.dumps(plain))  # type: ignore[no-any-return]
