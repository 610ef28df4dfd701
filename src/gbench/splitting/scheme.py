"""The schemes by name. A scheme is one function; its keyword arguments are the scheme's parameters.

Decorators say what the function gives: :func:`groups`, one label per row, of which whole groups are dealt to folds;
:func:`members`, which rows contain what, of which one thing is held out at a time; :func:`extremes`, a number per row,
of which the largest are held out. ``seed`` among the arguments is the split's seed, ``target`` the run's target.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import create_model

from gbench.crystals import IntArray
from gbench.spec import ExtremeSplit, GroupedSplit, MemberSplit, OfficialSplit, SplitSpec

FAMILIES = ("composition", "structure", "symmetry", "extremes", "published")
"""Modules of this package that define schemes, in the order in which schemes are listed."""


class Groups(NamedTuple):
    """One group per row."""

    label: IntArray
    """(n,) 0, 1, 2, ...; the same for the same dataset in another order of rows."""
    names: tuple[str, ...] = ()
    """Name of each group; empty where groups have none."""

    @classmethod
    def named(cls, names: "list[str] | tuple[str, ...] | NDArray[Any]") -> "Groups":
        """Rows of equal name are one group."""
        distinct, label = np.unique(np.asarray(names, dtype=str), return_inverse=True)
        return cls(label.astype(np.int64), tuple(distinct.tolist()))


class Members(NamedTuple):
    """Which rows contain what."""

    names: tuple[str, ...]
    """What can be held out, in order."""
    table: NDArray[np.bool_]
    """(n, names)"""


class Scheme(NamedTuple):
    """A registered scheme."""

    name: str
    about: str
    """What is held out, in a sentence."""
    spec: type[SplitSpec]
    function: Callable[..., Any]

    def __call__(self, dataset: Any, spec: SplitSpec) -> Any:
        """What the function gives for a dataset under these parameters."""
        wanted = list(inspect.signature(self.function).parameters)[1:]
        return self.function(dataset, **{name: getattr(spec, name) for name in wanted})


_SCHEMES: dict[str, Scheme] = {}
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def groups(name: str) -> Callable[[FunctionT], FunctionT]:
    """Register ``function(dataset, ...) -> Groups``."""
    return _registering(name, GroupedSplit)


def members(name: str) -> Callable[[FunctionT], FunctionT]:
    """Register ``function(dataset, ...) -> Members``."""
    return _registering(name, MemberSplit)


def extremes(name: str) -> Callable[[FunctionT], FunctionT]:
    """Register ``function(dataset, ...) -> (n,) numbers``, the larger the more extreme; NaN goes to train."""
    return _registering(name, ExtremeSplit)


def published(name: str) -> Callable[[FunctionT], FunctionT]:
    """Register ``function(dataset) -> test rows of each fold``."""
    return _registering(name, OfficialSplit)


@cache
def schemes() -> Mapping[str, Scheme]:
    """All schemes by name, from interpolation to extrapolation."""
    for family in FAMILIES:
        importlib.import_module(f"gbench.splitting.{family}")
    return dict(_SCHEMES)


def make_spec(scheme: str, **parameters: Any) -> SplitSpec:
    """The spec of a scheme.

    Raises:
        KeyError: no such scheme.
        ValidationError: a parameter that does not exist or is out of range.
    """
    return schemes()[scheme].spec.model_validate(parameters)


def _registering(name: str, base: type[SplitSpec]) -> Callable[[FunctionT], FunctionT]:
    def register(function: FunctionT) -> FunctionT:
        about = (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ").replace("``", "")
        fields: dict[str, Any] = {
            key: (parameter.annotation, parameter.default)
            for key, parameter in inspect.signature(function, eval_str=True).parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY and key not in base.model_fields
        }
        spec = create_model(
            f"{name.title().replace('-', '')}Split",
            __base__=base,
            __doc__=about,
            scheme=(Literal[name], name),  # type: ignore[arg-type]
            **fields,
        )
        _SCHEMES[name] = Scheme(name, about, spec, function)
        return function

    return register
