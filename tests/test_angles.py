"""Networks that see angles see them, and say so when there is no memory for them."""

import dataclasses

import numpy as np
import pytest
import torch
from laws import batch_of, network
from scipy.spatial.transform import Rotation
from structures import one

from gbench.batch import Batch, GraphTensors
from gbench.crystals import Crystals
from gbench.dataset import Dataset
from gbench.devices import free_bytes
from gbench.errors import SpecError
from gbench.graphs import build_graphs
from gbench.model import Head, Model
from gbench.nn import angles
from gbench.registry import model_class
from gbench.spec import GraphSpec
from gbench.triplets import line_graph

WITH_ANGLES = ["alignn", "dimenetpp"]


def molecule(degrees: float) -> Batch:
    """Three atoms in a chain with this angle at the middle one; the ends are no neighbours."""
    bent = np.deg2rad(degrees)
    chain = one([1, 8, 1], [[1, 0, 0], [0, 0, 0], [np.cos(bent), np.sin(bent), 0]], None)
    return GraphTensors(build_graphs(chain, GraphSpec(cutoff=1.2)), dtype=torch.float64).batch(torch.tensor([0]))


@pytest.mark.parametrize("name", [*WITH_ANGLES, "cogn", "cgcnn"])
def test_only_networks_with_angles_notice_that_edges_turn(name: str, prototypes: Dataset) -> None:
    batch = batch_of(name, prototypes.crystals.take([600, 800]))
    turns = Rotation.random(len(batch.src), rng=np.random.default_rng(0)).as_matrix()
    vector = (torch.as_tensor(turns) @ batch.vector[:, :, None])[:, :, 0]
    turned = dataclasses.replace(batch, vector=vector)
    torch.testing.assert_close(turned.distance, batch.distance)
    model = network(name)
    change = (model(turned) - model(batch)).abs().max()
    assert change > 1e-7 if name in WITH_ANGLES else change < 1e-10


def test_angles_between_edges_that_are_alike_reach_dimenet_but_not_alignn() -> None:
    """ALIGNN's gates weigh messages against each other, and here an edge gets no more than one."""
    change = {name: (network(name)(molecule(104.5)) - network(name)(molecule(180))).abs() for name in WITH_ANGLES}
    assert change["dimenetpp"] > 1e-7
    assert change["alignn"] < 1e-10


@pytest.mark.parametrize("name", WITH_ANGLES)
@pytest.mark.parametrize("degrees", [180.0, 90.0])
def test_slopes_by_positions_are_finite_at_straight_angles(name: str, degrees: float) -> None:
    batch = molecule(degrees)
    positions = batch.positions.clone().requires_grad_()
    network(name)(batch.with_positions(positions)).sum().backward()
    assert positions.grad is not None and torch.isfinite(positions.grad).all()
    # no force bends a chain that is straight, by symmetry
    if degrees == 180:
        assert positions.grad[:, 1:].abs().max() < 1e-10


@pytest.mark.parametrize("name", WITH_ANGLES)
def test_slopes_by_edges_are_finite_where_neighbours_stand_in_line(name: str) -> None:
    graphs = build_graphs(one([84], [[0, 0, 0]], np.eye(3) * 3.2), GraphSpec(cutoff=6.5))
    batch = GraphTensors(graphs, dtype=torch.float64).batch(torch.tensor([0]))
    assert {-1.0, 1.0} <= set(line_graph(batch).cosine.round(decimals=12).tolist())
    vector = batch.vector.clone().requires_grad_()
    network(name)(dataclasses.replace(batch, vector=vector)).sum().backward()
    assert vector.grad is not None and torch.isfinite(vector.grad).all()


@pytest.mark.parametrize(("name", "settings"), [("alignn", {"envelope": "polynomial"}), ("dimenetpp", {})])
def test_with_an_envelope_predictions_are_continuous_at_the_cut_off(
    name: str, settings: dict[str, object], prototypes: Dataset
) -> None:
    crystals = prototypes.crystals.take([600])
    shell = float(build_graphs(crystals, GraphSpec(cutoff=6.0)).distance.max())
    outputs, edges = [], []
    for step in (-1e-6, 1e-6):
        graphs = build_graphs(crystals, GraphSpec(cutoff=shell + step))
        kind = model_class(name)
        assert issubclass(kind, Model)
        torch.manual_seed(0)
        model = kind(kind.Config.model_validate({"basis_stop": shell, **settings}), Head()).double().eval()
        outputs.append(model(GraphTensors(graphs, dtype=torch.float64).batch(torch.tensor([0]))))
        edges.append(len(graphs.distance))
    assert edges[0] < edges[1]
    assert (outputs[0] - outputs[1]).abs() < 1e-9


class TestMemory:
    @pytest.fixture
    def crystals(self, prototypes: Dataset) -> Crystals:
        return prototypes.crystals.take(range(0, 800, 100))

    @pytest.mark.parametrize("name", WITH_ANGLES)
    def test_what_is_expected_is_what_a_step_keeps(self, name: str, crystals: Crystals) -> None:
        batch, model = batch_of(name, crystals), network(name).train()
        count, kept = len(line_graph(batch).first), {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            if tensor.dim() == 2 and len(tensor) == count:
                kept[tensor.data_ptr()] = tensor
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            model(batch).sum()
        numbers = sum(tensor.shape[1] for tensor in kept.values())
        assert numbers < model.numbers_per_angle < 1.5 * numbers  # type: ignore[operator]

    @pytest.mark.parametrize("name", WITH_ANGLES)
    def test_too_many_angles_are_refused_with_what_would_fit(
        self, name: str, crystals: Crystals, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch, model = batch_of(name, crystals), network(name)
        monkeypatch.setattr(angles, "ALWAYS_FITS_BYTES", 0)
        needed = angles.count_angles(batch) * (model.numbers_per_angle * 8 + angles.INDEX_BYTES)  # type: ignore[operator]
        monkeypatch.setattr(angles, "free_bytes", lambda device: needed * 6 // 10)
        with pytest.raises(SpecError, match=r"angles between the .* edges .* training.batch_size=[34] would fit"):
            model(batch)
        # what is only evaluated needs less
        with torch.no_grad():
            model(batch)
        monkeypatch.setattr(angles, "free_bytes", lambda device: 1)
        with pytest.raises(SpecError, match=r"GB are free; a shorter graph.cutoff, or graph.kind=knn"):
            model(batch)

    def test_free_memory_is_a_sensible_number(self) -> None:
        assert 1e6 < free_bytes(torch.device("cpu")) < 1e14
