"""The models without a graph: what each of them sees, and what is lost on it."""

import numpy as np
import pytest
import torch
from laws import batch_of, network, predict, rewrite
from structures import crystal, one

from gbench.crystals import Crystals
from gbench.dataset import Dataset
from gbench.elements import properties
from gbench.errors import SpecError
from gbench.features import STATISTICS, composition_statistics
from gbench.model import Head, Model
from gbench.nn.composition import CompositionEncoder
from gbench.nn.lattice import boxes, nearest_distance
from gbench.registry import model_class

WATER = one([8, 1, 1], [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], None)
TURN = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]


@pytest.fixture(scope="module")
def few(prototypes: Dataset) -> Crystals:
    return prototypes.crystals.take([0, 200, 300, 450, 600, 800])


def test_the_composition_vector_holds_the_statistics_of_the_features(few: Crystals) -> None:
    found = CompositionEncoder(identity=False).double()(batch_of("mlp", few)).numpy()
    table = properties()[1:]
    mean, scale = table.mean(axis=0), table.std(axis=0)
    expected = composition_statistics(few).values.reshape(len(few), len(STATISTICS), -1) / scale
    shifted = [STATISTICS.index(name) for name in ("mean", "min", "max")]
    expected[:, shifted] -= mean / scale
    # the table is held in single precision
    np.testing.assert_allclose(found, expected.reshape(len(few), -1), atol=1e-5)


def test_fractions_of_elements_follow_and_add_up_to_one(few: Crystals) -> None:
    fractions = CompositionEncoder().double()(batch_of("mlp", few))[:, -103:]
    torch.testing.assert_close(fractions.sum(dim=1), torch.ones(len(few), dtype=torch.float64))
    assert int((fractions[0] > 0).sum()) == len(set(few.take([0]).numbers.tolist()))


def test_a_shift_by_voxels_that_survive_the_halvings_leaves_the_image_network_alone(few: Crystals) -> None:
    before = predict("cnn", few)
    for voxels, kept in ((4, True), (8, True), (1, False), (2, False)):
        moved = rewrite(few, lambda z, x, h, share=voxels / 12: (z, x + share * h.sum(axis=0), h))
        change = float((predict("cnn", moved) - before).abs().max())
        assert (change < 1e-8) == kept, f"{voxels} voxels: {change:.2e}"


def test_an_atom_is_shared_among_the_voxels_around_it(few: Crystals) -> None:
    model = network("cnn")
    drawn = model._drawn(batch_of("cnn", few), boxes(batch_of("cnn", few), 12.0).fractional)  # type: ignore[operator]
    encoded = model.atoms(batch_of("cnn", few).numbers)  # type: ignore[operator]
    sums = torch.zeros((len(few), encoded.shape[1]), dtype=torch.float64)
    sums.index_add_(0, batch_of("cnn", few).graph_of_atom, encoded)
    torch.testing.assert_close(drawn.sum(dim=(2, 3, 4)), sums)


def test_turning_a_molecule_changes_its_image_and_not_its_sequence() -> None:
    turned = one([8, 1, 1], WATER.positions @ TURN + 3.0, None)
    moved = one([8, 1, 1], WATER.positions + 3.0, None)
    assert float((predict("cnn", turned) - predict("cnn", WATER)).abs()) > 1e-7
    assert float((predict("cnn", moved) - predict("cnn", WATER)).abs()) < 1e-12
    for other in (turned, moved):
        assert float((predict("gru", other) - predict("gru", WATER)).abs()) < 1e-12


def test_the_box_of_a_long_molecule_holds_it_and_vacuum() -> None:
    chain = one([6] * 30, [[0.5 + 1.3 * i, 0, 0] for i in range(30)], None)
    box = boxes(batch_of("cnn", chain), 12.0)
    np.testing.assert_allclose(torch.diagonal(box.cell[0]), [29 * 1.3 + 4, 12, 12])
    assert box.fractional.min() >= 0
    assert box.fractional.max() < 1
    assert len(torch.unique((box.fractional[:, 0] * 1e6).round())) == 30


def test_slabs_and_wires_have_a_box_of_full_rank() -> None:
    slab = crystal([29, 8], [[0, 0, 0], [0, 0, 2]], [[3, 0, 0], [1, 3, 0], [0, 0, 0]], "s", pbc=[True, True, False])
    wire = crystal([29, 8], [[0, 0, 0], [0, 0, 2]], [[0, 0, 0], [0, 0, 0], [0, 1, 3]], "w", pbc=[False, False, True])
    box = boxes(batch_of("cnn", Crystals.build([slab, wire])), 12.0)
    assert (torch.linalg.det(box.cell).abs() > 100).all()
    assert torch.isfinite(predict("gru", Crystals.build([slab, wire]))).all()


def test_the_nearest_image_is_nearest_also_in_skew_cells(rng: np.random.Generator) -> None:
    cell = torch.as_tensor(np.array([[3.0, 0, 0], [1.4, 2.8, 0], [-1.2, 0.9, 2.7]]))
    vectors = torch.as_tensor(rng.normal(0, 8, (50, 3)))
    steps = torch.arange(-12, 13).double()
    images = torch.cartesian_prod(steps, steps, steps) @ cell
    every = torch.linalg.vector_norm(vectors[:, None] + images, dim=2).amin(dim=1)
    torch.testing.assert_close(nearest_distance(vectors, cell.expand(50, 3, 3)), every)


def test_a_sequence_knows_the_distances_to_the_sites_before(few: Crystals) -> None:
    model = network("gru")
    features = model._features(batch_of("gru", WATER))  # type: ignore[operator]
    basis = model.basis(torch.tensor([0.96, np.hypot(1.2, 0.93)], dtype=torch.float64))  # type: ignore[operator]
    start, size = 32 + 6, 20
    torch.testing.assert_close(features[1:, start : start + size], basis)
    assert not features[0, start:].any()
    assert not features[1, start + size :].any()


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_a_level_without_head_is_refused(name: str) -> None:
    kind = model_class(name)
    assert issubclass(kind, Model)
    with pytest.raises(SpecError, match=f"{name} .* has no node head; choose another model"):
        kind(kind.Config(), Head("node"))
