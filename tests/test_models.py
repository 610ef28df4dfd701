"""The laws every network obeys, over every card."""

from pathlib import Path

import numpy as np
import pytest
import torch
from laws import CHANGES, NETWORKS, batch_of, claims, network, predict
from structures import one

from gbench.batch import GraphTensors
from gbench.cards import Level
from gbench.choices import Choices, resolve
from gbench.crystals import Crystals
from gbench.dataset import Dataset
from gbench.model import Estimator, Head, Inputs, Model
from gbench.registry import model_card, model_class, model_names
from gbench.spec import GraphSpec, Training
from gbench.splitting import Split
from gbench.task import Task
from gbench.train import fit
from gbench.train import predict as predict_fitted

TOLERANCE = 1e-8


@pytest.fixture(scope="module")
def crystals(prototypes: Dataset) -> Crystals:
    """Every prototype once, moved off its symmetric sites so that nothing vanishes by symmetry."""
    chosen = prototypes.crystals.take([0, 200, 300, 450, 600, 800])
    noise = np.random.default_rng(0).normal(0, 0.05, chosen.positions.shape)
    return Crystals(chosen.ids, chosen.numbers, chosen.positions + noise, chosen.cell, chosen.pbc, chosen.ptr)


@pytest.mark.parametrize("name", NETWORKS)
class TestNetwork:
    @pytest.mark.parametrize("symmetry", sorted(CHANGES))
    def test_it_keeps_the_symmetries_its_card_claims_and_no_others(
        self, name: str, symmetry: str, crystals: Crystals
    ) -> None:
        change = (predict(name, CHANGES[symmetry](crystals)) - predict(name, crystals)).abs().max()
        assert (change < TOLERANCE) == claims(name, symmetry), f"largest change {change:.2e}"

    def test_predictions_differ_between_crystals(self, name: str, crystals: Crystals) -> None:
        assert predict(name, crystals).std() > 1e-4

    @pytest.mark.parametrize("level", ["graph", "node"])
    def test_a_batch_equals_its_members_alone(self, name: str, level: Level, crystals: Crystals) -> None:
        if level not in model_card(name).levels:
            pytest.skip(f"{name} has no {level} head")
        together = predict(name, crystals, level)
        alone = [predict(name, crystals.take([row]), level) for row in range(len(crystals))]
        torch.testing.assert_close(together, torch.cat(alone), atol=TOLERANCE, rtol=0)
        items = len(crystals) if level == "graph" else len(crystals.numbers)
        assert together.shape == (items, 1)

    def test_the_same_seed_gives_the_same_weights(self, name: str) -> None:
        first, again, other = (network(name, seed=seed).state_dict() for seed in (1, 1, 2))
        assert all(torch.equal(first[key], again[key]) for key in first)
        assert any(not torch.equal(first[key], other[key]) for key in first)

    def test_gradients_reach_every_parameter(self, name: str, crystals: Crystals) -> None:
        model = network(name).train()
        model(batch_of(name, crystals)).sum().backward()
        for parameter_name, parameter in model.named_parameters():
            assert parameter.grad is not None, parameter_name
            assert torch.isfinite(parameter.grad).all(), parameter_name

    @pytest.mark.parametrize(("cell", "cutoff"), [(3.2, 5.0), (2.0, 8.5)], ids=["one atom", "300 neighbours"])
    def test_one_atom_cells_have_finite_predictions_and_gradients(self, name: str, cell: float, cutoff: float) -> None:
        spec = GraphSpec(cutoff=cutoff)
        from gbench.graphs import build_graphs

        tensors = GraphTensors(build_graphs(one([84], [[0, 0, 0]], np.eye(3) * cell), spec), dtype=torch.float64)
        model = network(name)
        out = model(tensors.batch(torch.tensor([0])))
        out.sum().backward()
        assert torch.isfinite(out).all()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
        if cutoff == 8.5:
            assert len(tensors.vector) >= 300

    def test_embeddings_are_one_per_hop_and_the_input(self, name: str, crystals: Crystals) -> None:
        model = network(name)
        states = model.embeddings(batch_of(name, crystals))
        assert len(states) == model.hops + 1
        assert all(len(state) == len(crystals.numbers) for state in states)

    def test_it_overfits_ten_crystals(self, name: str, prototypes: Dataset, tmp_path: Path) -> None:
        chosen = prototypes.crystals.take(range(1, 828, 83))
        spec = resolve(Choices(model=name))
        from gbench.graphs import build_graphs, without_edges

        labels = torch.as_tensor(chosen.labels("e_form").copy())[:, None]
        rows = np.arange(10)
        kind = model_class(name)
        assert issubclass(kind, Model)
        graphs = without_edges(chosen) if spec.graph is None else build_graphs(chosen, spec.graph)
        task = Task(GraphTensors(graphs), labels, "graph", Split(rows, rows, rows))
        settings = Training(epochs=250, batch_size=10, learning_rate=0.005, weight_decay=0.0)
        fitted = fit(
            lambda: kind(kind.Config.model_validate(spec.config), Head()), task, settings, 0,
            checkpoint=tmp_path / "checkpoint", observe=lambda _: None,
        )  # fmt: skip
        error = np.abs(predict_fitted(fitted, task, rows, 10) - labels[:, 0].numpy()).mean()
        assert error < 0.05 * labels.std()


@pytest.mark.parametrize("name", [name for name in model_names() if name not in NETWORKS])
class TestEstimator:
    def make(self, name: str) -> Estimator:
        kind = model_class(name)
        assert issubclass(kind, Estimator)
        return kind(kind.Config.model_validate(resolve(Choices(model=name)).config), "graph", seed=0)

    def inputs(self, crystals: Crystals) -> Inputs:
        from gbench.graphs import build_graphs

        return Inputs(crystals, build_graphs(crystals, GraphSpec(on_short="grow")))

    @pytest.mark.parametrize("symmetry", sorted(CHANGES))
    def test_it_keeps_the_symmetries_its_card_claims(
        self, name: str, symmetry: str, prototypes: Dataset, crystals: Crystals
    ) -> None:
        if not claims(name, symmetry):
            pytest.skip(f"{name} does not claim {symmetry}")
        estimator = self.make(name)
        rows = np.arange(0, 828, 8)
        train = prototypes.crystals.take(rows)
        estimator.fit(self.inputs(train), np.arange(len(rows)), train.labels("e_form"))
        everything = np.arange(len(crystals))
        before = estimator.predict(self.inputs(crystals), everything)
        after = estimator.predict(self.inputs(CHANGES[symmetry](crystals)), everything)
        np.testing.assert_allclose(after, before, atol=TOLERANCE)

    def test_the_same_seed_gives_the_same_predictions(self, name: str, prototypes: Dataset) -> None:
        rows = np.arange(0, 828, 8)
        inputs = self.inputs(prototypes.crystals.take(rows))
        labels = prototypes.crystals.labels("e_form")[rows]
        predictions = []
        for _ in range(2):
            estimator = self.make(name)
            estimator.fit(inputs, np.arange(50), labels[:50])
            predictions.append(estimator.predict(inputs, np.arange(50, len(rows))))
        np.testing.assert_array_equal(predictions[0], predictions[1])
