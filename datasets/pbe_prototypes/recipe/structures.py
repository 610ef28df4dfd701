"""Prototype crystals at three volumes, ready to be computed."""

import csv
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gbench.elements import symbols

from .calculations import Kind

FloatArray = NDArray[np.float64]
CANDIDATES = Path(__file__).with_name("candidates.csv")
VOLUME_SCALES = (0.94, 1.00, 1.06)
_LATTICES = {
    "fcc": np.array([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]]),
    "cubic": np.eye(3),
}


class Prototype(NamedTuple):
    """A cubic structure type without free parameters but its lattice constant."""

    lattice: Literal["fcc", "cubic"]
    bond: float
    """Distance between the first two sites, in lattice constants."""
    species: tuple[int, ...]
    """(atoms,) which of the compound's elements sits on each site."""
    frac: tuple[tuple[float, float, float], ...]
    """(atoms, 3) fractional coordinates."""


_CORNER, _QUARTER, _HALF, _THREE_QUARTERS = ((x, x, x) for x in (0.0, 0.25, 0.5, 0.75))
_FACES = ((0.5, 0.5, 0.0), (0.5, 0.0, 0.5), (0.0, 0.5, 0.5))
PROTOTYPES = {
    "rocksalt": Prototype("fcc", 1 / 2, (0, 1), (_CORNER, _HALF)),
    "zincblende": Prototype("fcc", 3**0.5 / 4, (0, 1), (_CORNER, _QUARTER)),
    "cscl": Prototype("cubic", 3**0.5 / 2, (0, 1), (_CORNER, _HALF)),
    "fluorite": Prototype("fcc", 3**0.5 / 4, (0, 1, 1), (_CORNER, _QUARTER, _THREE_QUARTERS)),
    "halfheusler": Prototype("fcc", 3**0.5 / 4, (0, 1, 2), (_HALF, _QUARTER, _CORNER)),
    "perovskite": Prototype("cubic", 3**0.5 / 2, (0, 1, 2, 2, 2), (_CORNER, _HALF, *_FACES)),
}


class Structure(NamedTuple):
    """One structure to compute."""

    key: str
    kind: Kind
    prototype: str | None
    volume_scale: float
    numbers: tuple[int, ...]
    cell: FloatArray
    """(3, 3) lattice vectors as rows, Å."""
    frac: FloatArray
    """(atoms, 3) fractional coordinates."""
    moments: tuple[float, ...] | None = None
    """(atoms,) magnetic moments to start from and to keep in sum, Bohr magnetons; none means no spin polarisation."""


class Candidate(NamedTuple):
    """A compound in a prototype, with a guess of its equilibrium."""

    prototype: str
    elements: tuple[str, ...]
    lattice_constant: float
    """Å."""

    @property
    def name(self) -> str:
        """``cscl-Ga-P``: what the keys of its structures start with."""
        return "-".join((self.prototype, *self.elements))

    def cell(self, lattice_constant: float) -> FloatArray:
        """(3, 3) lattice vectors as rows, Å."""
        return lattice_constant * _LATTICES[PROTOTYPES[self.prototype].lattice]

    def numbers(self) -> tuple[int, ...]:
        """(atoms,) atomic numbers."""
        return tuple(symbols().index(self.elements[which]) + 1 for which in PROTOTYPES[self.prototype].species)


def crystals(candidates: Sequence[Candidate]) -> Iterator[Structure]:
    """Every candidate at its three volumes, in order."""
    for candidate, scale in product(candidates, VOLUME_SCALES):
        yield Structure(
            key=f"{candidate.name}-{scale:.2f}",
            kind="crystal",
            prototype=candidate.prototype,
            volume_scale=scale,
            numbers=candidate.numbers(),
            cell=candidate.cell(candidate.lattice_constant * scale ** (1 / 3)),
            frac=np.array(PROTOTYPES[candidate.prototype].frac),
        )


def read_candidates(path: Path = CANDIDATES) -> list[Candidate]:
    """Candidates in the order they are computed."""
    with path.open(encoding="ascii", newline="") as file:
        return [
            Candidate(row["prototype"], tuple(row["elements"].split("-")), float(row["lattice_constant"]))
            for row in csv.DictReader(file)
        ]


def write_candidates(candidates: Sequence[Candidate], path: Path) -> None:
    """Write as a table that :func:`read_candidates` reads back bit for bit."""
    with path.open("w", encoding="ascii", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(Candidate._fields)
        table.writerows((c.prototype, "-".join(c.elements), repr(c.lattice_constant)) for c in candidates)
