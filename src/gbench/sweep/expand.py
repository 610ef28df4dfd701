"""From a suite to the flat list of its runs."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gbench.cards import Settings, validate
from gbench.choices import Choices, resolve_each
from gbench.errors import GbenchError, SweepError
from gbench.flags import folds_of, framework_setting, targets_of
from gbench.registry import dataset_card, model_card
from gbench.spec import RunSpec
from gbench.sweep.suite import FLAGS, Block, Suite, check_keys

LATER = ("fold", "framework")
"""Keys of a line that are not settled before its spec is."""
PLACES = {key: Choices.model_fields[key].default for key in ("dataset", "fold", "seed")}


@dataclass(frozen=True)
class Training:
    """One training of a suite."""

    spec: RunSpec
    """Of the first target that it learns."""
    line: Settings
    """What the suite says of it, with the defaults of what it does not say."""

    @cached_property
    def run_id(self) -> str:
        """Of the first target."""
        return self.spec.run_id

    @cached_property
    def runs(self) -> tuple[RunSpec, ...]:
        """Those it gives results for: one for each target it learns."""
        return self.spec.together()

    @property
    def allow_leak(self) -> bool:
        """Whether it may train although test has near-duplicates in train."""
        return bool(self.line.get("allow_leak", False))

    @property
    def title(self) -> str:
        """``cgcnn   pbe_prototypes / e_form   formula fold 0, seed 1``"""
        spec = self.spec
        where = f"{spec.dataset} / {','.join(spec.learned)}"
        return f"{spec.model}   {where}   {spec.split.scheme} fold {spec.split.fold}, seed {spec.seed}"


def expand(suite: Suite, only: Settings | None = None) -> list[Training]:
    """The trainings of a suite in the order of its file, each once; with ``only``, those that agree with it.

    Raises:
        UnknownNameError: a model, dataset, target, split or setting that does not exist.
        SpecError: values that do not fit together.
        SweepError: nothing is left.
    """
    only = only or {}
    check_keys(only)
    found: dict[str, Training] = {}
    for block in suite.each():
        for line in _lines(block):
            if _left_out(line, block.exclude, {key: value for key, value in only.items() if key not in LATER}):
                continue
            try:
                made = list(_trainings(line, block.exclude, only))
            except GbenchError as error:
                said = ", ".join(f"{key} {value}" for key, value in line.items())
                raise type(error)(f"{error} (in the line with {said})") from error
            for training in made:
                found.setdefault(training.run_id, training)
    if not found:
        raise SweepError(_why_nothing(suite, only))
    return list(found.values())


def parse_only(words: Sequence[str]) -> Settings:
    """``["model=cgcnn,megnet,seed=0"]`` -> ``{"model": ["cgcnn", "megnet"], "seed": [0]}``.

    Raises:
        SweepError: a word without a key.
        UnknownNameError: an unknown key.
    """
    import yaml

    only: dict[str, list[Any]] = {}
    for word in words:
        key = ""
        for part in word.split(","):
            name, equals, value = part.rpartition("=")
            key = name.strip() if equals else key
            if not key or not value:
                raise SweepError(f"--only {word}: write key=value, e.g. --only model=cgcnn,dataset=pbe_prototypes")
            only.setdefault(key, []).append(yaml.safe_load(value))
    check_keys(only)
    return only


def _lines(block: Block) -> Iterator[Settings]:
    axes = [
        [value if isinstance(value, dict) else {axis: value} for value in ([values] if values == "all" else values)]
        for axis, values in block.vary.items()
    ]
    for point in itertools.product(*axes):
        line = dict(block.base)
        for part in point:
            line |= part
        yield _complete(line)


def _complete(line: Settings) -> Settings:
    """The line with what it leaves to cards, so that rules can name it."""
    if "model" not in line:
        raise SweepError("a line of the suite names no model; write `model:` under `base` or `vary`")
    full = {**PLACES, **line}
    card = dataset_card(full["dataset"])
    return {"target": card.default_target, "split": card.default_split, **full}


def _trainings(line: Settings, exclude: Sequence[Settings], only: Settings) -> Iterator[Training]:
    chosen = _choices(line)
    for fold in folds_of(chosen, line["fold"], "fold"):
        own = {"framework": model_card(chosen.model).framework, **line, "fold": fold}
        if not _left_out(own, exclude, only):
            specs = resolve_each(chosen.model_copy(update={"fold": fold}))
            yield from (Training(spec, own) for spec in (specs[:1] if specs[0].beside else specs))


def _choices(line: Settings) -> Choices:
    settings = {key: value for key, value in line.items() if key not in FLAGS}
    if "framework" in line:
        settings |= framework_setting(line["model"], line["framework"])
    flags = {key: line[key] for key in ("model", "dataset", "split", "seed")}
    targets = targets_of(line["dataset"], line["target"])._asdict()
    return validate(Choices, {**flags, **targets, "overrides": settings}, "the suite", SweepError)


def _left_out(line: Settings, exclude: Sequence[Settings], only: Settings) -> bool:
    return any(_agrees(line, rule) for rule in exclude) or not _agrees(line, only)


def _agrees(line: Settings, rule: Settings) -> bool:
    return all(
        key in line and (line[key] in wanted if isinstance(wanted, list) else line[key] == wanted)
        for key, wanted in rule.items()
    )


def _why_nothing(suite: Suite, only: Settings) -> str:
    if not only:
        return "the suite has no run; its `exclude` leaves out everything"
    everything = [training.line for training in expand(suite)]
    for key, wanted in only.items():
        there = sorted({str(line[key]) for line in everything if key in line})
        if not {*map(str, wanted)} & {*there}:
            return f"--only {key}={','.join(map(str, wanted))}: no run of the suite is so; {key}: {', '.join(there)}"
    return "--only: no run of the suite agrees with all of it; `--dry-run` without it shows what there is"
