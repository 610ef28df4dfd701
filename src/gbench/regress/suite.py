"""What a regression suite holds, and where its references lie."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import Field, model_validator

from gbench.cards import Frozen, Settings, validate
from gbench.choices import Choices, resolve
from gbench.errors import SpecError
from gbench.spec import RunSpec, Share

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]


class TrainingCase(Frozen):
    """A small training, repeated with several seeds."""

    name: Name
    model: str
    dataset: str = "pbe_prototypes"
    target: str | None = None
    split: str | None = None
    fold: Annotated[int, Field(ge=0)] = 0
    overrides: Settings = {}
    seeds: Annotated[int, Field(ge=2, le=100)] = 3

    def specs(self) -> list[RunSpec]:
        """One for each seed, from 0.

        Raises:
            GbenchError: a name that does not exist or a value out of range.
        """
        given = self.model_dump(exclude={"name", "seeds"})
        return [resolve(Choices(**given, seed=seed)) for seed in range(self.seeds)]


class PublishedCase(Frozen):
    """A model that trains in no time, whose published scores it must still reach."""

    model: str
    dataset: str = "pbe_prototypes"
    target: str | None = None
    split: str
    tolerance: Annotated[float, Field(gt=0, lt=1)]
    """Largest relative difference of the MAE of any fold, either way."""


class SpeedCase(Frozen):
    """A piece of work and the kernel it is timed against."""

    work: Literal["collate", "step"]
    slower_by: Annotated[float, Field(gt=0)]
    """Relative rise of the ratio that is a regression."""


class Suite(Frozen):
    """A regression suite."""

    alpha: Share = 0.01
    """Chance that a suite in which nothing changed but the random numbers finds a rise, at most."""
    worse_by: Share = 0.03
    """Relative rise of the mean error that is a regression, if it is significant."""
    trainings: tuple[TrainingCase, ...] = ()
    published: tuple[PublishedCase, ...] = ()
    speed: tuple[SpeedCase, ...] = ()

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for names in ([case.name for case in self.trainings], [case.work for case in self.speed]):
            _refuse_twice(names)
        if not (self.trainings or self.published or self.speed):
            raise ValueError("holds nothing to check; add trainings, published or speed")
        return self


def _refuse_twice(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{twice[0]!r} is there twice; name each once")


def read_suite(path: Path) -> Suite:
    """A suite from its YAML file.

    Raises:
        SpecError: no such file, not YAML, or settings that do not fit.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror}); give the suite's YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: not valid YAML ({error})") from error
    if not isinstance(raw, dict):
        raise SpecError(f"{path}: not a suite; it holds trainings, published and speed")
    return validate(Suite, raw, str(path), SpecError)


def reference_folder(path: Path) -> Path:
    """Where the references of a suite lie: ``regression/`` beside ``regression.yaml``."""
    return path.with_suffix("")
