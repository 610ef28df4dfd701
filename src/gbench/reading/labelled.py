"""Entries and the name of a property -> records with labels at their level, each value checked where it stands."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gbench.cards import Level
from gbench.errors import DataError, unknown
from gbench.reading.entry import Entry, check_pair, number, shown

METHOD_KEYS = ("method", "functional", "xc", "calculator", "code")
"""Names under which files say how a label was computed."""


class Labelled(NamedTuple):
    """What :meth:`gbench.crystals.Crystals.build` is given."""

    level: Level
    records: list[dict[str, Any]]
    directed: bool
    """Whether some pair has another label from j to i than from i to j."""
    boolean: bool
    """Whether the file writes the labels as true and false."""


def property_names(entries: Sequence[Entry]) -> list[str]:
    """Keys that may be a target: some entry has a number, or numbers, there."""
    return sorted({key for entry in entries for key, value in entry.values.items() if _is_numeric(value)})


def choose(entries: Sequence[Entry], key: str | None, file: str) -> str:
    """The property that is meant: ``key``, or the only one there is.

    Raises:
        UnknownNameError: no entry has it.
        DataError: none was named and there is not exactly one.
    """
    names = property_names(entries)
    if key is None:
        if len(names) != 1:
            found = ", ".join(names) or "no numbers"
            raise DataError(f"{file}: which property is the target? It holds {found}; choose one with --target")
        return names[0]
    if not any(key in entry.values for entry in entries):
        raise unknown(f"property of {file}", key, names)
    return key


def select(entries: Sequence[Entry], where: Mapping[str, str], file: str) -> list[Entry]:
    """The entries whose values read as ``where`` says.

    Raises:
        UnknownNameError: no entry has such a key.
        DataError: no entry is left.
    """
    left = list(entries)
    for key, wanted in where.items():
        if not any(key in entry.values for entry in left):
            raise unknown(f"property of {file}", key, {name for entry in left for name in entry.values})
        found = {str(entry.values.get(key)) for entry in left}
        left = [entry for entry in left if str(entry.values.get(key)) == wanted]
        if not left:
            raise DataError(f"{file}: no row has {key}={wanted}; the values are {', '.join(sorted(found)[:10])}")
    return left


def stated_method(entries: Sequence[Entry], target: str) -> dict[str, str]:
    """How the labels were computed, as far as the file says so.

    Raises:
        DataError: they were computed in more than one way.
    """
    method: dict[str, str] = {}
    for key in sorted({key for entry in entries for key in entry.values if key.lower() in METHOD_KEYS}):
        stated = [entry.values.get(key) for entry in entries]
        texts = ["not stated" if value is None or value == "" else str(value) for value in stated]
        kinds = sorted(set(texts), key=lambda text: (-texts.count(text), text))
        if len(kinds) > 1:
            counts = ", ".join(f"{kind} {texts.count(kind):,}" for kind in kinds[:5])
            raise DataError(
                f"target {target!r} mixes calculation methods ({key}: {counts}); keep one with --where {key}={kinds[0]}"
            )
        if kinds != ["not stated"]:
            method[key] = kinds[0]
    return method


def label(entries: Sequence[Entry], key: str, target: str, level: Level | None) -> Labelled:
    """Records with the property ``key`` as ``target``, at ``level`` or the level its shape says.

    Raises:
        DataError: a duplicate id; a label that is no finite number, of another shape than the others, or of a site or
            pair that does not exist.
    """
    _refuse_duplicates(entries)
    found: Level = level or _level(entries, key, target)
    make = {"graph": _graph, "node": _node, "edge": _edge}[found]
    records = []
    for entry in entries:
        record = {"id": entry.name, "numbers": entry.numbers, "positions": entry.positions, "cell": entry.cell}
        records.append({**record, "pbc": list(entry.pbc), **make(entry, entry.values.get(key), target)})
    booleans = [
        isinstance(entry.values.get(key), bool | np.bool_) for entry in entries if entry.values.get(key) is not None
    ]
    return Labelled(found, records, found == "edge" and _is_directed(records, target), bool(booleans) and all(booleans))


def _is_numeric(value: Any) -> bool:
    if isinstance(value, bool | int | float | np.number | np.bool_):
        return True
    if isinstance(value, list | tuple | np.ndarray):
        try:
            return np.asarray(value).dtype.kind in "fiub"
        except ValueError:
            return False
    return False


def _level(entries: Sequence[Entry], key: str, target: str) -> Level:
    """The level that the shape of the first label says."""
    # a crystal without labelled pairs has an empty list, which says nothing
    entry = next((entry for entry in entries if not _is_empty(entry.values.get(key))), None)
    if entry is None:
        raise DataError(f"no row has a value for {key!r}; there is nothing to learn")
    value = entry.values[key]
    if not isinstance(value, list | tuple | np.ndarray):
        return "graph"
    shape, atoms = _shape(value), len(entry.numbers)
    if len(shape) == 1 and shape[0] == atoms:
        return "node"
    if len(shape) == 2 and shape[1] in (3, 6):
        return "edge"
    raise DataError(
        f"{entry.where}: {target!r} has shape {shape}, which is neither one value, one per site ({atoms}), nor pairs "
        f"(i, j, value) or (i, j, a, b, c, value)"
    )


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, list | tuple | np.ndarray) and _shape(value)[:1] == (0,))


def _shape(value: Any) -> tuple[int, ...]:
    try:
        return np.shape(value)
    except ValueError:
        return (len(value), -1)


def _graph(entry: Entry, value: Any, target: str) -> dict[str, Any]:
    if isinstance(value, list | tuple | np.ndarray) and _shape(value) != ():
        raise DataError(
            f"{entry.where}: {target!r} of {entry.name!r} has shape {_shape(value)}, expected one number for a graph "
            f"target"
        )
    scalar = value.item() if isinstance(value, np.ndarray) else value
    return {target: number(scalar, entry.where, f"{target!r} of {entry.name!r}")}


def _node(entry: Entry, value: Any, target: str) -> dict[str, Any]:
    if value is None:
        return {}
    atoms = len(entry.numbers)
    if _shape(value) != (atoms,):
        raise DataError(
            f"{entry.where}: {target!r} of {entry.name!r} has shape {_shape(value)}, expected one value for each of "
            f"its {atoms} sites"
        )
    return {target: np.array([_site_label(each, entry, site, target) for site, each in enumerate(value)])}


def _site_label(value: Any, entry: Entry, site: int, target: str) -> float:
    # an array has no other way to say that a site carries no label
    if isinstance(value, float | np.floating) and np.isnan(value):
        return float("nan")
    return number(value, entry.where, f"{target!r} of site {site} of {entry.name!r}")


def _edge(entry: Entry, value: Any, target: str) -> dict[str, Any]:
    pairs, images, values = [], [], []
    seen: set[tuple[int, ...]] = set()
    if value is not None and not isinstance(value, list | tuple | np.ndarray):
        raise DataError(f"{entry.where}: {target!r} is {shown(value)}, expected pairs (i, j, value) for an edge target")
    for row in value if value is not None else ():
        if not isinstance(row, list | tuple | np.ndarray) or len(row) not in (3, 6):
            raise DataError(
                f"{entry.where}: {target!r} holds {shown(row)}, expected (i, j, value) or (i, j, a, b, c, value)"
            )
        whole = [_whole(part, entry, target) for part in row[:-1]]
        i, j, a, b, c = (*whole, 0, 0, 0)[:5]
        check_pair(i, j, (a, b, c), len(entry.numbers), entry.where)
        if (i, j, a, b, c) in seen:
            raise DataError(
                f"{entry.where}: pair {i},{j} (image {a},{b},{c}) of {entry.name!r} has two labels; keep one"
            )
        if any((a, b, c)[axis] and not entry.pbc[axis] for axis in range(3)):
            raise DataError(f"{entry.where}: pair {i},{j} names image {a},{b},{c}, but that direction is not periodic")
        seen.add((i, j, a, b, c))
        pairs.append((i, j))
        images.append((a, b, c))
        values.append(_site_label(row[-1], entry, i, target))
    return {
        "pairs": np.array(pairs).reshape(-1, 2),
        "pair_image": np.array(images).reshape(-1, 3),
        target: np.array(values),
    }


def _whole(value: Any, entry: Entry, target: str) -> int:
    found = number(value, entry.where, f"a site or image of {target!r}")
    if not found.is_integer():
        raise DataError(f"{entry.where}: {target!r} names site or image {shown(value)}, which is not a whole number")
    return int(found)


def _is_directed(records: Sequence[Mapping[str, Any]], target: str) -> bool:
    for record in records:
        known: dict[tuple[int, ...], float] = {}
        triples = zip(record["pairs"].tolist(), record["pair_image"].tolist(), record[target].tolist(), strict=True)
        for (i, j), (a, b, c), value in triples:
            known[i, j, a, b, c] = value
            other = known[back] if (back := (j, i, -a, -b, -c)) in known else value
            if other != value and not (np.isnan(other) or np.isnan(value)):
                return True
    return False


def _refuse_duplicates(entries: Sequence[Entry]) -> None:
    first: dict[str, str] = {}
    for entry in entries:
        if entry.name in first:
            raise DataError(
                f"{entry.where}: id {entry.name!r} appears before, in {first[entry.name]}; ids must be unique "
                f"(--id-column chooses another column)"
            )
        first[entry.name] = entry.where
