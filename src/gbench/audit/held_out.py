"""Groups that are in test and not in train."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gbench.audit.card import HeldOut
from gbench.audit.facts import Facts, Parts
from gbench.elements import element_property, symbols
from gbench.spec import SplitSpec
from gbench.splitting import Split

MOST = 12
"""Groups of each kind that are named, the largest first."""


def held_out(facts: Facts, parts: Parts, split: Split, spec: SplitSpec) -> tuple[HeldOut, ...]:
    """Elements, periods and groups of the periodic table, crystal systems and space groups that train lacks.

    They are measured, whatever the scheme meant to hold out. What else the scheme says it held out comes first.
    """
    measured = [found for kind, table in _tables(facts) for found in _absent(kind, table, parts)]
    known = {found.name for found in measured}
    said = [HeldOut(kind=spec.scheme, name=name) for name in split.held_out if name not in known]
    return (*(said if len(said) <= MOST else ()), *measured)


Table = dict[str, NDArray[np.bool_]]


def _absent(kind: str, members: Table, parts: Parts) -> Iterator[HeldOut]:
    """Groups with a test row and without a training row, at most ``MOST``."""
    counts = {
        name: int(rows[parts.test].sum())
        for name, rows in members.items()
        if rows[parts.test].any() and not rows[parts.train].any()
    }
    for name in sorted(counts, key=lambda name: (-counts[name], name))[:MOST]:
        yield HeldOut(kind=kind, name=name, count=counts[name])


def _tables(facts: Facts) -> Iterator[tuple[str, Table]]:
    """For each kind of group, which rows belong to which."""
    elements = facts.elements
    present = np.flatnonzero(elements.any(axis=0)).tolist()
    yield "element", {symbols()[number - 1]: elements[:, number] for number in present}
    for kind, column in (("period", "period"), ("group", "group")):
        of = element_property(column)
        values = np.unique(of[present]).tolist()
        yield kind, {f"{value:g}": np.asarray(elements[:, np.nan_to_num(of) == value].any(axis=1)) for value in values}
    if facts.symmetry is not None:
        for kind, names in (
            ("crystal system", facts.symmetry.crystal_systems),
            ("space group", facts.symmetry.space_groups),
        ):
            yield kind, {name: np.array([own == name for own in names]) for name in sorted(set(names))}
