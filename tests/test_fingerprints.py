"""Orbital-field matrices are what their definition says, and describe the structure alone."""

import numpy as np
from laws import CHANGES

from gbench.dataset import Dataset
from gbench.elements import element_property
from gbench.fingerprints import FALLOFF, orbital_field
from gbench.graphs import build_graphs
from gbench.spec import GraphSpec

SPEC = GraphSpec(on_short="grow")
FIRST = {"s": 0, "p": 2, "d": 8, "f": 18}


def one_hot(number: int) -> np.ndarray:
    marks = np.zeros(32)
    for subshell, first in FIRST.items():
        if held := int(element_property(subshell)[number]):
            marks[first + held - 1] = 1
    return marks


def test_it_equals_the_sum_written_out(prototypes: Dataset) -> None:
    crystals = prototypes.crystals.take([0, 300, 600, 700])
    graphs = build_graphs(crystals, SPEC)
    matrices = np.zeros((4, 32, 32))
    for edge in range(len(graphs.dst)):
        centre, neighbor = graphs.dst[edge], graphs.src[edge]
        nearest = graphs.distance[graphs.dst == centre].min()
        weight = np.exp(-(graphs.distance[edge] / nearest - 1) / FALLOFF)
        product = np.outer(one_hot(int(crystals.numbers[centre])), one_hot(int(crystals.numbers[neighbor])))
        matrices[crystals.crystal_of_atom[centre]] += (
            weight * product / crystals.n_atoms[crystals.crystal_of_atom[centre]]
        )
    flat = matrices.reshape(4, -1)
    np.testing.assert_allclose(orbital_field(graphs), flat[:, flat.any(axis=0)], atol=1e-12)


def test_how_a_crystal_is_written_down_does_not_matter(prototypes: Dataset) -> None:
    crystals = prototypes.crystals.take(range(0, 828, 40))
    expected = orbital_field(build_graphs(crystals, SPEC))
    for change in CHANGES.values():
        np.testing.assert_allclose(orbital_field(build_graphs(change(crystals), SPEC)), expected, atol=1e-8)
