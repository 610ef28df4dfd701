"""Test rows whose structure stands in train too.

*Crystals* are near-duplicates where pymatgen's StructureMatcher says so with its own tolerances (lengths 20 %, angles 5
degrees, sites 0.3 of the cube root of the volume per atom) after both are scaled to one volume: strained copies are
near-duplicates, polymorphs are not. They are exact duplicates where it says so, unscaled, with tolerances of a
thousandth. *Molecules* are near-duplicates where their interatomic distances, sorted for each pair of elements, nowhere
differ by more than 0.1 Å, and exact ones where by no more than 0.001 Å; mirror images are one molecule by this.

Only rows of one reduced formula are compared. Of crystals, both are reduced once, and pairs whose reduced cells differ
in the number of sites are dismissed, as the matcher itself would. No tighter filter is safe: within the matcher's
tolerances the distances to the nearest neighbours may differ by more than those of most polymorphs do. Only where a
formula has more than ``MOST_CANDIDATES`` training rows are those taken whose fingerprints are most alike.

Source: StructureMatcher of pymatgen, https://doi.org/10.1016/j.commatsci.2012.10.028.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gbench.audit.card import Duplicates, Overlap, Pair
from gbench.audit.facts import Facts, Parts, Progress, silent
from gbench.audit.fingerprints import fingerprints
from gbench.audit.matching import EXACT, Job, Outcome, run_jobs
from gbench.audit.molecules import Molecules, match_molecules
from gbench.crystals import FloatArray, IntArray

EXAMPLES = 8
FEWEST_ROWS = 50
"""Test rows that are looked at whatever it costs."""
PAIRS_PER_JOB = 300
MOST_CANDIDATES = 64
"""Training rows that a test row is compared with. Of more, those with the most similar fingerprints are taken."""


class Candidates(NamedTuple):
    """A test row and the training rows it is compared with, the nearest in volume per atom first."""

    test: int
    train: IntArray
    seconds: float
    """What comparing them is expected to take."""


@dataclass(frozen=True)
class Search:
    """Where duplicates are sought."""

    facts: Facts
    parts: Parts
    seconds: float
    """Expected seconds on one processor after which no more test rows are looked at; expected from numbers of sites
    and not timed, so that the same split gives the same card on every machine."""
    seed: int = 0


def find_duplicates(search: Search, progress: Progress = silent) -> Duplicates:
    """Test rows with a duplicate in train; a random part of the test rows where all would take too long."""
    crystals = search.facts.dataset.crystals
    periodic = np.asarray(crystals.pbc.any(axis=1))
    order = np.random.default_rng(search.seed).permutation(search.parts.test)
    molecules = Molecules(crystals, search.facts.formulas)
    train = search.parts.train
    found = match_molecules(molecules, train[~periodic[train]], order[~periodic[order]])
    compared = 0
    candidates = list(_candidates(search, order[periodic[order]]))
    affordable = np.cumsum([one.seconds for one in candidates]) <= search.seconds
    kept = max(int(affordable.sum()), min(FEWEST_ROWS, len(candidates)))
    jobs = list(_jobs(search, [one for one in candidates[:kept] if len(one.train)]))
    for outcome in run_jobs(jobs, crystals, progress):
        compared += outcome.compared
        if outcome.grade:
            found.append(outcome)
    checked = kept + int((~periodic[order]).sum())
    return _described(search.facts, found, checked, compared)


def _candidates(search: Search, order: IntArray) -> Iterator[Candidates]:
    """One entry for each test crystal, in the given order."""
    facts, train = search.facts, search.parts.train
    crystals = facts.dataset.crystals
    train = train[crystals.pbc[train].any(axis=1)]
    size = np.log(np.maximum(crystals.volume, 1e-9) / crystals.n_atoms)
    by_formula = train[np.argsort(facts.formulas[train], kind="stable")]
    names = facts.formulas[by_formula]
    first, last = (np.searchsorted(names, facts.formulas[order], side) for side in ("left", "right"))
    cost, likeness = Cost(crystals.n_atoms), Likeness(facts)
    for row, start, stop in zip(order.tolist(), first, last, strict=True):
        near = by_formula[start:stop]
        if len(near) > MOST_CANDIDATES:
            near = likeness.most_alike(row, near)
        near = near[np.lexsort((facts.rank[near], np.round(np.abs(size[near] - size[row]), 6)))]
        yield Candidates(row, near, cost.seconds(row, near) if len(near) else 0.0)


class Likeness:
    """Which crystals of a formula are most alike, by their fingerprints."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.known: dict[str, tuple[IntArray, FloatArray]] = {}

    def most_alike(self, row: int, others: IntArray) -> IntArray:
        """The ``MOST_CANDIDATES`` of ``others``, of the row's own formula, that are most alike."""
        formula = str(self.facts.formulas[row])
        if formula not in self.known:
            crystals = self.facts.dataset.crystals
            rows = np.flatnonzero((self.facts.formulas == formula) & crystals.pbc.any(axis=1))
            self.known[formula] = rows, fingerprints(crystals.take(rows))
        rows, found = self.known[formula]
        difference = np.abs(found[np.searchsorted(rows, others)] - found[np.searchsorted(rows, row)]).max(axis=1)
        ids = self.facts.rank[others]
        return others[np.lexsort((ids, np.round(difference, 4)))[:MOST_CANDIDATES]]


class Cost:
    """Expected seconds of comparing rows, on one processor; fitted to mp36k, where sites range from 1 to 200."""

    def __init__(self, n_atoms: IntArray) -> None:
        self.n_atoms = n_atoms
        self.reduced = np.zeros(len(n_atoms), dtype=np.bool_)

    def seconds(self, row: int, others: IntArray) -> float:
        """Of one row against others; each structure is reduced only once."""
        new = np.append(others, row)
        new = new[~self.reduced[new]]
        self.reduced[new] = True
        sites = self.n_atoms[others]
        fits = np.where(sites == self.n_atoms[row], 5e-3 * (sites / 30) ** 2, 1e-4)
        return float((4e-3 * (self.n_atoms[new] / 30) ** 1.5).sum() + fits.sum())


def _jobs(search: Search, candidates: Sequence[Candidates]) -> Iterator[Job]:
    """Rows of one formula together, so that each structure is reduced once; large formulas in several jobs."""
    formulas = search.facts.formulas
    by_formula: dict[str, list[Candidates]] = {}
    for one in candidates:
        by_formula.setdefault(str(formulas[one.test]), []).append(one)
    for name in sorted(by_formula):
        members: list[Candidates] = []
        for one in by_formula[name]:
            members.append(one)
            if sum(len(member.train) for member in members) >= PAIRS_PER_JOB:
                yield _job(members)
                members = []
        if members:
            yield _job(members)


def _job(members: Sequence[Candidates]) -> Job:
    return Job(
        tests=tuple(one.test for one in members),
        trains=tuple(tuple(one.train.tolist()) for one in members),
        seconds=sum(one.seconds for one in members),
    )


def _described(facts: Facts, found: Sequence[Outcome], checked: int, compared: int) -> Duplicates:
    ids = facts.dataset.crystals.ids
    exact = sum(outcome.grade == EXACT for outcome in found)
    pairs = [Pair(test=ids[one.test], train=ids[one.train], exact=one.grade == EXACT) for one in found]
    return Duplicates(
        checked=checked,
        near=overlap(len(found), checked),
        exact=overlap(exact, checked),
        compared=compared,
        examples=tuple(sorted(pairs, key=lambda pair: (pair.test, pair.train))[:EXAMPLES]),
    )


def overlap(count: int, of: int) -> Overlap:
    """A count with its share; of nothing, none."""
    return Overlap(count=count, share=count / of if of else 0.0)
