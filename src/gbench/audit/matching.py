"""Comparing crystals in processes: StructureMatcher on structures that are reduced once."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gbench.audit.facts import Progress
from gbench.cores import cores
from gbench.crystals import Crystals

if TYPE_CHECKING:
    from pymatgen.analysis.structure_matcher import StructureMatcher
    from pymatgen.core import Structure

NEAR, EXACT = 1, 2
"""Grades of a duplicate."""
TIGHT = 1e-3
"""Of exact duplicates: relative tolerance of lengths, and of sites in units of the cube root of volume per atom."""
TIGHT_DEGREES = 0.1
SAME_VOLUME = 4 * TIGHT
"""Relative difference of volume per atom beyond which no pair can be exact."""
PARALLEL_SECONDS = 8.0
"""Expected seconds of work from which on processes share it: starting them takes one or two."""
VACUUM_ANGSTROM = 10.0
"""Room around a slab or chain along axes that are not periodic."""


class Job(NamedTuple):
    """Test rows and, for each, the training rows it is compared with, in order."""

    tests: tuple[int, ...]
    trains: tuple[tuple[int, ...], ...]
    seconds: float
    """What it is expected to take."""


class Outcome(NamedTuple):
    """What was found for a test row."""

    test: int
    train: int
    """The duplicate; -1 where there is none."""
    grade: int
    """0, ``NEAR`` or ``EXACT``."""
    compared: int
    """Pairs that were compared before the search ended."""


def run_jobs(jobs: Sequence[Job], crystals: Crystals, progress: Progress) -> Iterator[Outcome]:
    """Outcomes of all test rows, in the order of the jobs; longest jobs are begun first."""
    jobs = sorted(jobs, key=lambda job: (-job.seconds, job.tests))
    total, done = sum(len(job.tests) for job in jobs), 0
    works = (_work(job, crystals) for job in jobs)
    results: Any = map(compare, works)
    if sum(job.seconds for job in jobs) > PARALLEL_SECONDS and (count := cores()) > 1:
        from joblib import Parallel, delayed

        results = Parallel(count, return_as="generator", max_nbytes=None)(delayed(compare)(work) for work in works)
    outcomes: list[Outcome]
    for outcomes in results:
        done += len(outcomes)
        progress("near-duplicates", done, total)
        yield from outcomes


class Work(NamedTuple):
    """A job with the structures it is about, and nothing else of the dataset."""

    crystals: Crystals
    rows: tuple[int, ...]
    """Row of the dataset of each of ``crystals``."""
    job: Job


def _work(job: Job, crystals: Crystals) -> Work:
    rows = sorted(set(job.tests).union(*job.trains))
    return Work(crystals.take(rows).without_labels(), tuple(rows), job)


def compare(work: Work) -> list[Outcome]:
    """The duplicates of a job's test rows; each search ends at the first, or at the first that is exact."""
    structures = Reduced(work)
    return [structures.search(test, trains) for test, trains in zip(work.job.tests, work.job.trains, strict=True)]


class Reduced:
    """Structures of a piece of work, brought to their reduced primitive cells when first used."""

    def __init__(self, work: Work) -> None:
        self.crystals = work.crystals
        self.place = {row: place for place, row in enumerate(work.rows)}
        self.cells: dict[int, Structure] = {}

    @cached_property
    def matchers(self) -> "tuple[StructureMatcher, StructureMatcher]":
        """With pymatgen's own tolerances, and tight."""
        from pymatgen.analysis.structure_matcher import StructureMatcher

        return StructureMatcher(), StructureMatcher(ltol=TIGHT, stol=TIGHT, angle_tol=TIGHT_DEGREES, scale=False)

    def search(self, test: int, trains: Sequence[int]) -> Outcome:
        """The first duplicate among ``trains``, which come nearest in volume first; an exact one where there is one."""
        best, grade = -1, 0
        for number, train in enumerate(trains):
            alike = self._alike_in_volume(test, train)
            if grade and not alike:
                return Outcome(test, best, grade, number)
            if alike and self._match(test, train, tight=True):
                return Outcome(test, train, EXACT, number + 1)
            if not grade and self._match(test, train, tight=False):
                best, grade = train, NEAR
        return Outcome(test, best, grade, len(trains))

    def _alike_in_volume(self, test: int, train: int) -> bool:
        one, other = (self._volume_per_atom(row) for row in (test, train))
        return abs(one - other) <= SAME_VOLUME * min(one, other)

    def _volume_per_atom(self, row: int) -> float:
        place = self.place[row]
        return float(abs(np.linalg.det(self.crystals.cell[place])) / self.crystals.n_atoms[place])

    def _match(self, test: int, train: int, *, tight: bool) -> bool:
        # the matcher is not symmetric in rare cases: which comes first must not depend on the part
        first, second = sorted((test, train), key=lambda row: self.crystals.ids[self.place[row]])
        one, other = self._cell(first), self._cell(second)
        if len(one) != len(other):
            return False
        return bool(self.matchers[tight].fit(one, other, skip_structure_reduction=True))

    def _cell(self, row: int) -> "Structure":
        if row not in self.cells:
            given = periodic_structure(self.crystals, self.place[row])
            self.cells[row] = given.get_reduced_structure("niggli").get_primitive_structure()
        return self.cells[row]


def periodic_structure(crystals: Crystals, row: int) -> "Structure":
    """A row as a pymatgen ``Structure``; along axes that are not periodic, in a cell with room around the atoms."""
    from ase.cell import Cell
    from pymatgen.core import Structure

    atoms = slice(crystals.ptr[row], crystals.ptr[row + 1])
    cell, positions = crystals.cell[row], crystals.positions[atoms]
    if not crystals.pbc[row].all():
        full = np.array(Cell(np.where(crystals.pbc[row][:, None], cell, 0.0)).complete())
        for axis in np.flatnonzero(~crystals.pbc[row]):
            full[axis] *= float(np.ptp(positions @ full[axis])) + VACUUM_ANGSTROM
        cell = full
    return Structure(cell, crystals.numbers[atoms].tolist(), positions, coords_are_cartesian=True)
