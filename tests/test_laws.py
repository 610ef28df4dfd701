"""What the laws of models look at: the same crystals, written down otherwise."""

import numpy as np
import pytest
from pymatgen.core import Lattice

from gbench.graphs import build_graphs
from gbench.laws import CHANGES, shaken_prototypes
from gbench.laws.changes import WAYS
from gbench.spec import GraphSpec


@pytest.mark.parametrize(("symmetry", "way"), [(name, way) for name, ways in WAYS.items() for way in range(len(ways))])
def test_every_way_gives_the_same_crystals(symmetry: str, way: int) -> None:
    crystals = shaken_prototypes()
    rewritten = WAYS[symmetry][way](crystals)
    for row in range(len(crystals)):
        numbers, volumes, lengths = [], [], []
        for which in (crystals, rewritten):
            one = which.take([row])
            repeats = len(one.numbers) // crystals.n_atoms[row]
            numbers.append(sorted(one.numbers.tolist() * (rewritten.n_atoms[row] // len(one.numbers))))
            volumes.append(one.volume[0] / repeats)
            lengths.append(np.sort(build_graphs(one, GraphSpec(cutoff=5.0)).distance)[::repeats])
        assert numbers[0] == numbers[1]
        np.testing.assert_allclose(volumes[1], volumes[0])
        np.testing.assert_allclose(lengths[1], lengths[0], atol=1e-6)


def test_cells_are_skewed_wrapped_and_reduced() -> None:
    crystals = shaken_prototypes()
    skewed, wrapped, reduced = (way(crystals) for way in WAYS["cell"])
    assert np.abs(skewed.cell - crystals.cell).max() > 1
    np.testing.assert_array_equal(skewed.cell, wrapped.cell)
    assert np.abs(wrapped.positions - skewed.positions).max() > 1
    for cell, niggli in zip(crystals.cell, reduced.cell, strict=True):
        expected = Lattice(cell).get_niggli_reduced_lattice().parameters
        np.testing.assert_allclose(Lattice(niggli).parameters, expected, atol=1e-6)
        assert np.abs(niggli - cell).max() > 1


def test_supercells_are_repeated_along_one_two_and_three_vectors() -> None:
    crystals = shaken_prototypes()
    sizes = [set((way(crystals).n_atoms // crystals.n_atoms).tolist()) for way in WAYS["supercell"]]
    assert sizes == [{4}, {2}, {8}]
    assert set(WAYS) == set(CHANGES)
