"""Atoms that distances cannot tell apart are held once, and nothing else changes."""

from collections import Counter

import moyopy
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from structures import lattices
from torch_geometric.nn.aggr import Set2Set as PyGSet2Set

from gbench.batch import GraphTensors
from gbench.crystals import Crystals
from gbench.dataset import Dataset
from gbench.graphs import Graphs, build_graphs
from gbench.laws import CHANGES
from gbench.model import Head, Model
from gbench.nn.heads import Set2Set
from gbench.nn.norms import BatchNorm
from gbench.quotient import Quotient, quotient
from gbench.registry import model_card, model_class, model_names
from gbench.spec import GraphSpec

SPEC = GraphSpec(on_short="grow")
SEES_DISTANCES = ["cgcnn", "cogn", "gat", "gcn", "graphsage", "megnet", "mpnn", "schnet"]


def heard(graphs: Graphs, found: Quotient, crystal: int) -> list[tuple[int, Counter[tuple[int, int]]]]:
    """Of each atom: its element, and how often each class is a neighbour at each distance (in units of 1e-6 Å)."""
    ptr = graphs.crystals.ptr
    of_atom = found.class_of_atom[ptr[crystal] : ptr[crystal + 1]]
    out = []
    for atom in range(ptr[crystal], ptr[crystal + 1]):
        edges = slice(graphs.atom_ptr[atom], graphs.atom_ptr[atom + 1])
        classes = of_atom[graphs.src[edges] - ptr[crystal]].tolist()
        lengths = np.rint(graphs.distance[edges] / 1e-6).astype(int).tolist()
        out.append((int(graphs.crystals.numbers[atom]), Counter(zip(classes, lengths, strict=True))))
    return out


def test_the_classes_are_the_coarsest_that_distances_allow(prototypes: Dataset) -> None:
    graphs = prototypes.graphs(SPEC)
    found = quotient(graphs)
    ptr = graphs.crystals.ptr
    for crystal in range(0, len(graphs.crystals), 37):
        of_atom = found.class_of_atom[ptr[crystal] : ptr[crystal + 1]]
        every = heard(graphs, found, crystal)
        for one in range(len(of_atom)):
            for other in range(one):
                assert (of_atom[one] == of_atom[other]) == (every[one] == every[other])


@settings(max_examples=40)
@given(lattices())
def test_every_copy_is_counted(crystals: Crystals) -> None:
    graphs = build_graphs(crystals, SPEC)
    found = quotient(graphs)
    assert found.atom_copies.sum() == len(crystals.numbers)
    assert found.all_edges.sum() == graphs.n_edges
    assert np.array_equal(crystals.numbers[found.atom][found.class_of_atom], crystals.numbers)
    kept_at = np.bincount(found.edge_index[1], weights=found.edge_copies, minlength=len(found.atom))
    assert np.array_equal(kept_at, graphs.edges.degree[found.atom])
    length = found.distances.angstrom[found.distances.of_edge]
    np.testing.assert_allclose(length, graphs.distance[found.edge], atol=1e-6, rtol=0)


@settings(max_examples=20)
@given(lattices())
def test_a_supercell_has_no_more_classes_than_its_cell(crystals: Crystals) -> None:
    cell, supercell = (quotient(build_graphs(c, SPEC)) for c in (crystals, CHANGES["supercell"](crystals)))
    assert len(supercell.atom) == len(cell.atom)
    assert np.array_equal(supercell.atom_copies, 4 * cell.atom_copies)


def test_atoms_that_symmetry_maps_onto_each_other_are_of_one_class(phonons: Dataset) -> None:
    crystals = phonons.crystals
    found = quotient(phonons.graphs(SPEC))
    merged = 0
    for row in range(0, len(crystals), 60):
        atoms = slice(crystals.ptr[row], crystals.ptr[row + 1])
        fractional = crystals.positions[atoms] @ np.linalg.inv(crystals.cell[row])
        cell = moyopy.Cell(crystals.cell[row].tolist(), fractional.tolist(), crystals.numbers[atoms].tolist())
        orbits = moyopy.MoyoDataset(cell, symprec=1e-7).orbits
        classes = found.class_of_atom[atoms]
        # the symmetry of coordinates in a file holds to about their last digit
        lengths = [len({int(classes[i]) for i in np.flatnonzero(np.array(orbits) == orbit)}) for orbit in set(orbits)]
        merged += lengths == [1] * len(lengths)
    assert merged >= 20


@pytest.mark.parametrize("model", SEES_DISTANCES)
def test_predictions_on_real_crystals_are_those_without_merging(model: str, phonons: Dataset) -> None:
    card = model_card(model)
    graphs = phonons.graphs(GraphSpec.model_validate(card.defaults.graph))
    rows = torch.arange(0, len(phonons.crystals), 11)
    kind = model_class(model)
    assert issubclass(kind, Model)
    torch.manual_seed(0)
    made = kind(kind.Config.model_validate(card.defaults.config), Head("node")).double().eval()
    plain, merged = (GraphTensors(graphs, torch.float64, merge=merge).batch(rows) for merge in (False, True))
    assert len(merged.src) < len(plain.src) / 3
    with torch.no_grad():
        # distances that are equal to a millionth of an ångström are one
        torch.testing.assert_close(made(merged), made(plain), atol=2e-5, rtol=1e-6)


def test_every_baseline_that_sees_only_distances_is_named_here() -> None:
    kinds = {name: model_class(name) for name in model_names()}
    merging = [name for name, kind in kinds.items() if issubclass(kind, Model) and kind.sees_only_distances]
    assert sorted(merging) == SEES_DISTANCES


def test_atoms_that_stand_for_others_cannot_move(prototypes: Dataset) -> None:
    batch = GraphTensors(prototypes.graphs(SPEC), merge=True).batch(torch.arange(3))
    with pytest.raises(ValueError, match="cannot move"):
        batch.with_positions(batch.positions)


@pytest.fixture
def items() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, 4, dtype=torch.float64, generator=generator), torch.tensor([1, 5, 2, 1, 3, 4])


def test_batch_norm_of_copies_is_that_of_every_one(items: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, copies = items
    ours, theirs = BatchNorm(4).double(), torch.nn.BatchNorm1d(4).double()
    for norm in (ours, theirs):
        torch.nn.init.constant_(norm.weight, 1.5)
        torch.nn.init.constant_(norm.bias, 0.3)
    for _ in range(3):
        expected = theirs(x.repeat_interleave(copies, dim=0))
        torch.testing.assert_close(ours(x, copies.double()).repeat_interleave(copies, dim=0), expected)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)
    torch.testing.assert_close(ours.eval()(x, copies.double()), theirs.eval()(x))


def test_set2set_is_pygs_of_every_copy(items: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, copies = items
    index = torch.tensor([0, 0, 0, 1, 1, 2])
    torch.manual_seed(0)
    theirs = PyGSet2Set(4, 3).double()
    ours = Set2Set(4, 3).double()
    ours.load_state_dict(theirs.state_dict())
    expected = theirs(x.repeat_interleave(copies, dim=0), index.repeat_interleave(copies))
    torch.testing.assert_close(ours(x, index, 3, copies.double()), expected)
    torch.testing.assert_close(ours(x, index, 3), theirs(x, index))
