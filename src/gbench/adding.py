"""A person's own data as a dataset: read, checked, and written beside a card, whole or not at all."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from gbench.added import data_file, versions, write
from gbench.cards import DatasetCard, Level, validate
from gbench.content import entries
from gbench.crystals import Crystals
from gbench.elements import reduced_formulas
from gbench.errors import CardError, DataError
from gbench.reading.anything import read_entries
from gbench.reading.labelled import Labelled, choose, label, select, stated_method
from gbench.registry import dataset_card, dataset_names

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
NOT_STATED = "not stated"
FEWEST_FORMULAS = 10
"""Below it, formulas cannot be dealt to folds."""


@dataclass(frozen=True)
class Request:
    """What a person says of the data; the rest is read from it."""

    name: str
    target: str | None = None
    unit: str | None = None
    column: str | None = None
    """The property's name in the file, where it differs from ``target``."""
    level: Level | None = None
    task: Literal["regression", "classification"] | None = None
    directed: bool | None = None
    extensive: bool = False
    """Whether a graph target grows with the cell, as a total energy does."""
    version: str = "1"
    title: str | None = None
    description: str | None = None
    licence: str = NOT_STATED
    citation: str = NOT_STATED
    doi: str | None = None
    method: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    id_column: str | None = None
    labels: str | None = None


class Added(NamedTuple):
    """A dataset that was added."""

    card: DatasetCard
    crystals: Crystals
    folder: Path
    notes: tuple[str, ...]
    """What a person should know or may want to add."""


def add(path: Path, request: Request) -> Added:
    """Read the data, check it, and write it with its card into ``user_datasets()``.

    Raises:
        DataError: a name that cannot be taken, a unit that is missing, or data that cannot be used; nothing is written.
        StorageError: the folder cannot be written.
    """
    _check_name(request)
    _check_unit(request)
    key = request.column or request.target
    crystals, said = _read(path, request, key)
    crystals = crystals.check()
    target = next(iter(crystals.targets))
    _check_labels(crystals, target, said.task, path.name)
    card = _card(path, request, crystals, target, said)
    folder = write(card, crystals)
    return Added(dataset_card(request.name), crystals, folder, tuple(_notes(card, crystals, target)))


class _Said(NamedTuple):
    """What the data says of its target."""

    level: Level
    task: Literal["regression", "classification"]
    directed: bool
    method: Mapping[str, str]


def _check_name(request: Request) -> None:
    if not NAME.fullmatch(request.name):
        raise DataError(
            f"--name {request.name!r}: a name is up to 64 letters, digits, dots, hyphens or underscores and begins "
            f"with a letter or digit"
        )
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}", request.version, re.ASCII):
        raise DataError(
            f"--version {request.version!r}: a version is up to 32 letters, digits, dots, hyphens or underscores"
        )
    if request.name in entries("datasets"):
        raise DataError(f"--name {request.name}: gbench has a dataset of that name; choose another")
    alike = [name for name in dataset_names() if name.lower() == request.name.lower() and name != request.name]
    if alike:
        # many file systems hold them in one folder
        raise DataError(f"--name {request.name}: differs from dataset {alike[0]!r} in case alone; choose another name")
    taken = versions(request.name)
    if request.version in taken:
        raise DataError(
            f"dataset {request.name}@{request.version} exists, and a version never changes; give --version "
            f"{_next_version(taken)} for new data, or choose another name"
        )


def _next_version(taken: set[str]) -> str:
    numbers = [int(version) for version in taken if version.isdecimal()]
    return str(max(numbers, default=1) + 1)


def _check_unit(request: Request) -> None:
    unit = (request.unit or "").strip()
    if request.task == "classification":
        if unit not in ("", "1"):
            raise DataError(f"--unit {unit}: classes have no unit; leave it out")
    elif not unit:
        shown = request.target or "the target"
        raise DataError(
            f"the unit of {shown} is missing; give --unit, e.g. --unit eV/atom, or --unit 1 for a pure number"
        )
    if request.target is not None and not request.target.strip():
        raise DataError("--target is empty; name the property, e.g. --target e_form")


def _read(path: Path, request: Request, key: str | None) -> tuple[Crystals, _Said]:
    ours = _read_ours(path, request, key)
    if ours is not None:
        return ours
    read = read_entries(path, key=key, level=request.level, id_column=request.id_column, labels=request.labels)
    read = select(read, request.where, path.name)
    key = choose(read, key, path.name)
    target = request.target or key
    labelled = label(read, key, target, request.level)
    targets = {f"{labelled.level}_targets": (target,)}
    return Crystals.build(labelled.records, **targets), _said(request, labelled, stated_method(read, target))


def _said(request: Request, labelled: Labelled, method: Mapping[str, str]) -> _Said:
    task = request.task or ("classification" if labelled.boolean else "regression")
    directed = labelled.directed if request.directed is None else request.directed
    if directed and labelled.level != "edge":
        raise DataError(f"--directed belongs to edge targets; the labels are {labelled.level} labels")
    if request.extensive and (labelled.level != "graph" or task != "regression"):
        raise DataError("--extensive belongs to graph targets of regression; leave it out")
    if labelled.directed and not directed:
        raise DataError("some pairs have another label from j to i than from i to j; leave out --undirected")
    return _Said(labelled.level, task, directed, method)


def _read_ours(path: Path, request: Request, key: str | None) -> tuple[Crystals, _Said] | None:
    """The crystals of a Parquet file that :meth:`Crystals.write` made, with the one target; None for any other file."""
    from gbench.reading.ours import read_ours

    crystals = read_ours(path, key, request.target)
    if crystals is None:
        return None
    if request.where or request.id_column:
        raise DataError(
            f"{path.name}: is a Parquet of gbench, which has ids and no columns to filter by; leave out the option"
        )
    level: Level = "graph" if crystals.graph_targets else "node" if crystals.node_targets else "edge"
    if request.level not in (None, level):
        raise DataError(
            f"{path.name}: {next(iter(crystals.targets))!r} is a {level} target, not {request.level}; leave out --level"
        )
    return crystals, _said(request, Labelled(level, [], directed=False, boolean=False), {})


def _check_labels(crystals: Crystals, target: str, task: str, file: str) -> None:
    values = crystals.labels(target)
    known = values[~np.isnan(values)]
    if not len(known):
        raise DataError(f"{file}: no row has a value for {target!r}; there is nothing to learn")
    if task == "classification" and not np.isin(known, (0, 1)).all():
        wrong = known[~np.isin(known, (0, 1))][0]
        raise DataError(
            f"{file}: {target!r} has the label {wrong:g}; classes are 0 and 1, leave out --task for other numbers"
        )


def _card(path: Path, request: Request, crystals: Crystals, target: str, said: _Said) -> DatasetCard:
    formulas = Counter(reduced_formulas(crystals))
    sizes = crystals.n_atoms
    size = f"{sizes.min()}" if sizes.min() == sizes.max() else f"{sizes.min()} to {sizes.max()}"
    shared = sum(count for count in formulas.values() if count > 1)
    filtered = "".join(f", rows with {key}={value}" for key, value in request.where.items())
    kind = "crystals" if crystals.pbc.any() else "molecules"
    raw = {
        "name": request.name,
        "version": request.version,
        "title": request.title or request.name,
        "description": request.description
        or f"{len(crystals):,} {kind} of {size} atoms and {len(np.unique(crystals.numbers))} elements, added from "
        f"{path.resolve().name}{filtered}.",
        "licence": request.licence,
        "citation": {"text": request.citation} | ({"doi": request.doi} if request.doi else {}),
        # the hash is known once the file is written
        "sources": [{"file": data_file(request.version), "sha256": "0" * 64, "size": 1}],
        "crystals": len(crystals),
        "content_sha256": crystals.sha256(),
        "targets": {
            target: {
                "level": said.level,
                "unit": "1" if said.task == "classification" else (request.unit or "").strip(),
                "task": said.task,
                "directed": said.directed,
                "extensive": request.extensive,
                "description": f"{request.column or target} as it stands in {path.resolve().name}.",
                "method": {**said.method, **request.method} or {"source": NOT_STATED},
            }
        },
        "default_target": target,
        "default_split": "formula" if len(formulas) >= FEWEST_FORMULAS else "random",
        "near_duplicates": f"{shared:,} of {len(crystals):,} {kind} share their reduced formula with another one. The "
        "splits by formula and by cluster keep those on one side."
        if shared
        else None,
    }
    return validate(DatasetCard, raw, f"the card of {request.name}", CardError)


def _notes(card: DatasetCard, crystals: Crystals, target: str) -> list[str]:
    about, values = card.targets[target], crystals.labels(target)
    known = values[~np.isnan(values)]
    notes = []
    if about.task == "regression" and np.isin(known, (0, 1)).all():
        notes.append("all labels are 0 or 1; --task classification treats them as two classes")
    elif np.ptp(known) == 0:
        notes.append(f"all labels are {known[0]:g}; there is nothing to learn")
    unstated = [
        name for name, value in (("licence", card.licence), ("citation", card.citation.text)) if value == NOT_STATED
    ]
    if about.method == {"source": NOT_STATED}:
        unstated.append("method")
    if unstated:
        options = " ".join(f"--{name}" for name in unstated)
        notes.append(f"{', '.join(unstated)} not stated; say it with {options}, or write it on the card")
    return notes
