"""Groups that are in test and not in train."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gbench.audit.card import HeldOut
from gbench.audit.facts import Facts, Parts
from gbench.elements import element_property, symbols
from gbench.spec import GroupedSplit, SplitSpec
from gbench.splitting import Split, schemes

MOST = 12
"""Groups of each kind that are named, the largest first."""
MOST_GROUPS = 60
"""Schemes with more groups, such as one per formula, have none that tell a reader anything."""
MARKS = 4
"""Elements that a group without a name is described by."""


def held_out(facts: Facts, parts: Parts, split: Split, spec: SplitSpec) -> tuple[HeldOut, ...]:
    """Elements, periods and groups of the periodic table, crystal systems and space groups that train lacks.

    They are measured, whatever the scheme meant to hold out. The scheme's own groups come first, where they are few.
    """
    measured = [found for kind, table in _tables(facts) for found in _absent(kind, table, parts)]
    known = {found.name for found in measured}
    said = [HeldOut(kind=spec.scheme, name=name) for name in split.held_out if name not in known]
    own = said or _unnamed(facts, parts, spec)
    return (*(own if len(own) <= MOST else ()), *measured)


def _unnamed(facts: Facts, parts: Parts, spec: SplitSpec) -> list[HeldOut]:
    """Groups without names that are wholly in test, such as clusters, by the elements that mark them."""
    if not isinstance(spec, GroupedSplit):
        return []
    groups = schemes()[spec.scheme](facts.dataset, spec)
    sizes = np.bincount(groups.label)
    # where groups hold a row or two, they are no groups of rows
    if groups.names or len(sizes) > min(MOST_GROUPS, len(groups.label) / 4):
        return []
    counts = np.bincount(groups.label[parts.test], minlength=len(sizes))
    inside = np.setdiff1d(groups.label[parts.test], groups.label[parts.train])
    return [
        HeldOut(kind=spec.scheme, name=f"{label}: {_marks(facts, groups.label == label)}", count=int(counts[label]))
        for label in inside.tolist()
    ]


def _marks(facts: Facts, rows: NDArray[np.bool_]) -> str:
    """The elements that are more frequent in some rows than elsewhere, e.g. ``F 88 %, Cl 12 %``."""
    share = facts.elements[rows].mean(axis=0)
    excess = share - facts.elements.mean(axis=0)
    order = np.argsort(-excess, kind="stable")[:MARKS]
    return ", ".join(
        f"{symbols()[number - 1]} in {100 * share[number]:.0f} %" for number in order if excess[number] > 0
    )


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
