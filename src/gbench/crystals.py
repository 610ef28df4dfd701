"""Structures as a struct of arrays, and their one on-disk form, Parquet."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from gbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    from ase import Atoms
    from pymatgen.core import Molecule, Structure

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
MAX_NUMBER = 103
"""Lr, the last element with a row in ``elements.csv``."""


@dataclass(frozen=True)
class Crystals:
    """Many crystals (or molecules, with ``pbc`` false) in flat arrays.

    Atom ``a`` belongs to crystal ``i`` when ``ptr[i] <= a < ptr[i + 1]``.
    """

    ids: tuple[str, ...]
    numbers: NDArray[np.int16]
    """(atoms,) atomic numbers."""
    positions: FloatArray
    """(atoms, 3) Cartesian, Å."""
    cell: FloatArray
    """(n, 3, 3) lattice vectors as rows, Å; zero rows along axes that are not periodic."""
    pbc: NDArray[np.bool_]
    """(n, 3)"""
    ptr: IntArray
    """(n + 1,) first atom of each crystal."""
    graph_targets: Mapping[str, FloatArray] = field(default_factory=dict)
    """name -> (n,); NaN where a label is missing."""
    node_targets: Mapping[str, FloatArray] = field(default_factory=dict)
    """name -> (atoms,); NaN where a label is missing."""
    pairs: IntArray = field(default_factory=lambda: np.empty((0, 2), np.int64))
    """(pairs, 2) atom indices i, j over all crystals, crystal by crystal: what edge targets are about."""
    pair_image: NDArray[np.int32] = field(default_factory=lambda: np.empty((0, 3), np.int32))
    """(pairs, 3) lattice translation of atom j."""
    edge_targets: Mapping[str, FloatArray] = field(default_factory=dict)
    """name -> (pairs,); NaN where a label is missing."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_atoms(self) -> IntArray:
        """(n,) atoms per crystal."""
        return np.diff(self.ptr)

    @property
    def crystal_of_atom(self) -> IntArray:
        """(atoms,) row of the crystal each atom belongs to."""
        return np.repeat(np.arange(len(self)), self.n_atoms)

    @property
    def crystal_of_pair(self) -> IntArray:
        """(pairs,) row of the crystal each pair belongs to."""
        return np.asarray(np.searchsorted(self.ptr, self.pairs[:, 0], side="right") - 1, dtype=np.int64)

    @property
    def pair_ptr(self) -> IntArray:
        """(n + 1,) first pair of each crystal."""
        return np.searchsorted(self.crystal_of_pair, np.arange(len(self) + 1)).astype(np.int64)

    @property
    def pair_vector(self) -> FloatArray:
        """(pairs, 3) from atom i to atom j of each pair, Å."""
        shift = np.einsum("pi,pij->pj", self.pair_image.astype(np.float64), self.cell[self.crystal_of_pair])
        return np.asarray(self.positions[self.pairs[:, 1]] - self.positions[self.pairs[:, 0]] + shift)

    @property
    def targets(self) -> Mapping[str, FloatArray]:
        """All labels by target name, whatever their level."""
        return {**self.graph_targets, **self.node_targets, **self.edge_targets}

    @property
    def volume(self) -> FloatArray:
        """(n,) cell volumes in Å^3; 0 for molecules."""
        return np.asarray(np.abs(np.linalg.det(self.cell)))

    def labels(self, target: str) -> FloatArray:
        """Values of a target: (n,) for a graph target, (atoms,) for a node target, (pairs,) for an edge target."""
        return self.targets[target]

    def without_labels(self) -> Self:
        """The structures, and the pairs that edge targets are about, without their values."""
        return dataclasses.replace(self, graph_targets={}, node_targets={}, edge_targets={})

    def sha256(self) -> str:
        """Hash of ids, structures and labels: the identity of a dataset version's content.

        Taken over the arrays (little-endian), not the file, so that another Parquet writer changes nothing.
        """
        digest = hashlib.sha256(json.dumps(self.ids, ensure_ascii=True).encode())
        arrays: list[NDArray[Any]] = [
            self.numbers.astype("<i2"),
            self.positions.astype("<f8"),
            self.cell.astype("<f8"),
            self.pbc.astype("u1"),
            self.ptr.astype("<i8"),
        ]
        if len(self.pairs):
            arrays += [self.pairs.astype("<i8"), self.pair_image.astype("<i4")]
        for targets in (self.graph_targets, self.node_targets, self.edge_targets):
            for name in sorted(targets):
                digest.update(name.encode())
                # every NaN means "missing": give them one bit pattern
                values = np.where(np.isnan(targets[name]), np.nan, targets[name])
                arrays.append(values.astype("<f8"))
        for array in arrays:
            digest.update(repr(array.shape).encode())
            # -0.0 and 0.0 are one number
            digest.update(np.ascontiguousarray(array + 0 if array.dtype.kind == "f" else array).tobytes())
        return digest.hexdigest()

    def take(self, rows: Sequence[int] | IntArray) -> Self:
        """The crystals of these rows, in this order."""
        rows = np.asarray(rows, dtype=np.int64)
        atoms = ranges(self.ptr[rows], self.ptr[rows + 1])
        ptr = np.concatenate([[0], np.cumsum(self.n_atoms[rows])])
        pair_ptr = self.pair_ptr
        pairs = ranges(pair_ptr[rows], pair_ptr[rows + 1])
        # pairs count atoms over all crystals: move them with their crystal
        moved = np.repeat(ptr[:-1] - self.ptr[rows], pair_ptr[rows + 1] - pair_ptr[rows])
        return type(self)(
            ids=tuple(self.ids[row] for row in rows),
            numbers=self.numbers[atoms],
            positions=self.positions[atoms],
            cell=self.cell[rows],
            pbc=self.pbc[rows],
            ptr=ptr,
            graph_targets={name: values[rows] for name, values in self.graph_targets.items()},
            node_targets={name: values[atoms] for name, values in self.node_targets.items()},
            pairs=self.pairs[pairs] + moved[:, None],
            pair_image=self.pair_image[pairs],
            edge_targets={name: values[pairs] for name, values in self.edge_targets.items()},
        )

    def check(self) -> Self:
        """These crystals, if every number in them is usable.

        Raises:
            DataError: a duplicate id, a crystal without atoms, a coordinate or label that is infinite, a
                coordinate that is NaN, a flat cell, an unknown atomic number.
        """
        from gbench.crystal_checks import check

        check(self)
        return self

    @classmethod
    def build(
        cls,
        records: Sequence[Mapping[str, Any]],
        graph_targets: Sequence[str] = (),
        node_targets: Sequence[str] = (),
        edge_targets: Sequence[str] = (),
    ) -> Self:
        """Crystals from dictionaries with ``id``, ``numbers``, ``positions``, ``cell``, and labels by target name.

        ``cell`` None makes a molecule; ``pbc``, three booleans, is all true for a crystal unless given. A label that
        is absent or None is missing (NaN). Edge labels belong to ``pairs``, (pairs, 2) atoms of the crystal, and
        ``pair_image``, (pairs, 3), which is zero unless given.
        """
        if not records:
            raise DataError("there is no crystal to build from")
        sizes = [len(record["numbers"]) for record in records]
        cells = [record["cell"] for record in records]
        periodic = np.array([r.get("pbc") or [r["cell"] is not None] * 3 for r in records], dtype=bool)
        cell = np.zeros((len(records), 3, 3))
        for row, given in enumerate(cells):
            if given is not None:
                cell[row] = given
        missing = float("nan")

        def graph_values(name: str) -> FloatArray:
            return np.array([missing if r.get(name) is None else r[name] for r in records], dtype=np.float64)

        def node_values(name: str) -> FloatArray:
            parts = [
                np.full(size, missing) if record.get(name) is None else np.asarray(record[name], dtype=np.float64)
                for record, size in zip(records, sizes, strict=True)
            ]
            return np.concatenate(parts) if parts else np.empty(0)

        ptr = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        pairs = [np.asarray(record.get("pairs", ()), dtype=np.int64).reshape(-1, 2) for record in records]
        images = [
            np.asarray(record.get("pair_image", np.zeros((len(own), 3))), dtype=np.int32).reshape(-1, 3)
            for record, own in zip(records, pairs, strict=True)
        ]

        def edge_values(name: str) -> FloatArray:
            parts = [
                np.full(len(own), missing) if record.get(name) is None else np.asarray(record[name], dtype=np.float64)
                for record, own in zip(records, pairs, strict=True)
            ]
            return np.concatenate(parts)

        return cls(
            ids=tuple(str(record["id"]) for record in records),
            numbers=np.concatenate([np.asarray(r["numbers"], dtype=np.int16) for r in records]),
            positions=np.concatenate([np.asarray(r["positions"], dtype=np.float64).reshape(-1, 3) for r in records]),
            cell=cell,
            pbc=periodic,
            ptr=ptr,
            graph_targets={name: graph_values(name) for name in graph_targets},
            node_targets={name: node_values(name) for name in node_targets},
            pairs=np.concatenate([own + first for own, first in zip(pairs, ptr[:-1], strict=True)]),
            pair_image=np.concatenate(images),
            edge_targets={name: edge_values(name) for name in edge_targets},
        ).check()

    @classmethod
    def from_pymatgen(
        cls,
        structures: Sequence["Structure | Molecule"],
        ids: Sequence[str] | None = None,
        graph_targets: Mapping[str, Sequence[float]] | None = None,
    ) -> Self:
        """Crystals from ordered pymatgen structures and molecules; ids default to 0, 1, 2, ..."""
        for row, structure in enumerate(structures):
            if not structure.is_ordered:
                raise DataError(f"structure {row} ({structure.formula}) has partial occupancies; order it first")
        targets = graph_targets or {}
        records = [
            {
                "id": str(row) if ids is None else ids[row],
                "numbers": structure.atomic_numbers,
                "positions": structure.cart_coords,
                "cell": getattr(getattr(structure, "lattice", None), "matrix", None),
                **{name: values[row] for name, values in targets.items()},
            }
            for row, structure in enumerate(structures)
        ]
        return cls.build(records, graph_targets=tuple(targets))

    def to_pymatgen(self, row: int) -> "Structure | Molecule":
        """One crystal as a pymatgen ``Structure``, or ``Molecule`` where nothing is periodic.

        Node targets become site properties. Axes that are not periodic get a vector far longer than the atoms reach:
        pymatgen needs one, and not all of it heeds ``pbc``.
        """
        from ase.geometry import complete_cell
        from pymatgen.core import Lattice, Molecule, Structure

        atoms = slice(self.ptr[row], self.ptr[row + 1])
        if not self.pbc[row].any():
            return Molecule(self.numbers[atoms].tolist(), self.positions[atoms])
        a, b, c = self.pbc[row].tolist()
        cell = complete_cell(self.cell[row])
        cell[~self.pbc[row]] *= 30 + 2 * np.linalg.norm(np.ptp(self.positions[atoms], axis=0))
        return Structure(
            Lattice(cell, pbc=(a, b, c)),
            self.numbers[atoms].tolist(),
            self.positions[atoms],
            coords_are_cartesian=True,
            site_properties={name: values[atoms].tolist() for name, values in self.node_targets.items()},
        )

    def to_ase(self, row: int) -> "Atoms":
        """One crystal or molecule as ASE ``Atoms`` (needs ase)."""
        from ase import Atoms

        atoms = slice(self.ptr[row], self.ptr[row + 1])
        return Atoms(self.numbers[atoms], self.positions[atoms], cell=self.cell[row], pbc=self.pbc[row])

    def to_frame(self) -> "pd.DataFrame":
        """One row per crystal: id, formula, atoms, volume (Å^3) and the graph targets."""
        import pandas as pd

        from gbench.elements import reduced_formulas

        columns = {"formula": reduced_formulas(self), "n_atoms": self.n_atoms, "volume": self.volume}
        return pd.DataFrame({**columns, **self.graph_targets}, index=pd.Index(self.ids, name="id"))

    def write(self, path: Path) -> None:
        """Write as one Parquet file, moved into place only when whole."""
        from gbench.crystal_file import write_crystals

        write_crystals(path, self)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Crystals from a file made by :meth:`write`."""
        from gbench.crystal_file import read_columns

        return cls(**read_columns(path))


def ranges(starts: IntArray, stops: IntArray) -> IntArray:
    """``concatenate([arange(a, b) for a, b in zip(starts, stops)])`` without the Python loop."""
    lengths = stops - starts
    ends = np.cumsum(lengths)
    return np.asarray(np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths))
