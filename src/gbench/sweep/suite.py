"""A suite: a file that says which runs belong together."""

from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import model_validator

from gbench.cards import Frozen, Settings, Text, validate
from gbench.content import content
from gbench.errors import SweepError, UnknownNameError, unknown

FLAGS = ("model", "dataset", "target", "split", "fold", "seed", "framework", "allow_leak")
"""Keys of a line that are flags of ``gbench run``; a dotted key is one of its ``--set``."""
SECTIONS = ("model", "graph", "split", "training")


class Block(Frozen):
    """Lines that differ along axes."""

    base: Settings = {}
    """What all lines have in common: flags of ``gbench run``, and dotted settings."""
    vary: dict[str, list[Any] | Literal["all"]] = {}
    """Axis -> its values; lines are their product. An axis is a key of a line, or any name if its values are mappings
    of several keys. ``fold`` may be ``all``."""
    exclude: tuple[Settings, ...] = ()
    """Lines that are left out: those that agree with all keys of one of these. A list agrees with its values."""

    @model_validator(mode="after")
    def _keys_exist(self) -> Self:
        check_keys(self.base)
        for axis, values in self.vary.items():
            if values == "all" and axis != "fold":
                raise ValueError(f"axis {axis!r} is 'all'; only fold may be, list its values")
            if not values:
                raise ValueError(f"axis {axis!r} has no values; give some, or leave it out")
            for value in values:
                check_keys(value if isinstance(value, dict) else {axis: value})
        for rule in self.exclude:
            check_keys(rule)
            if not rule:
                raise ValueError("exclude has an empty rule, which would leave out everything; name a key")
        return self


class Suite(Block):
    """A suite. What stands above the blocks holds for each of them."""

    about: Text
    """What the suite is for, in a sentence."""
    blocks: tuple[Block, ...] = ()

    def each(self) -> tuple[Block, ...]:
        """The blocks, each with what stands above it; the suite itself where it has none."""
        return tuple(
            Block(
                base={**self.base, **block.base},
                vary={**self.vary, **block.vary},
                exclude=(*self.exclude, *block.exclude),
            )
            for block in self.blocks or (Block(),)
        )


def check_keys(line: Settings) -> None:
    """Raise UnknownNameError if a key is neither a flag nor a dotted setting of a section."""
    for key in line:
        section, dot, _ = key.partition(".")
        if key not in FLAGS and not (dot and section in SECTIONS):
            raise unknown("key", key, FLAGS)


def read_suite(name: str | Path) -> Suite:
    """The suite in a file, or of a name under ``benchmarks/``.

    Raises:
        SweepError: no such file, not YAML, or a key or axis that makes no sense.
        UnknownNameError: an unknown key.
    """
    path = Path(name)
    if not path.is_file():
        path = _named(str(name))
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SweepError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SweepError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise SweepError(f"{path}: a suite is a mapping with `about`, `base` and `vary`, not a {type(raw).__name__}")
    try:
        return validate(Suite, raw, str(path), SweepError)
    except UnknownNameError as error:
        raise UnknownNameError(f"{path}: {error}") from error


def suite_names() -> list[str]:
    """Suites that come with gbench."""
    # a suite with references beside it is one of `gbench regress`
    return sorted(path.stem for path in content("benchmarks").glob("*.yaml") if not path.with_suffix("").is_dir())


def _named(name: str) -> Path:
    if name not in suite_names():
        raise unknown("suite", name, suite_names(), "gbench suite list")
    return content("benchmarks") / f"{name}.yaml"
