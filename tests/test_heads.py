"""Every level and kind of target is learned, scored and written down as what it is."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from laws import NETWORKS, assert_holds, batch_of, network

import gbench
from gbench import registry
from gbench.crystals import Crystals
from gbench.dataset import Dataset, load
from gbench.errors import CardError
from gbench.graphs import build_graphs
from gbench.laws.networks import undirected_pairs_have_one_value
from gbench.predictions import item_frame, item_positions
from gbench.registry import model_card
from gbench.result import Result, read_history, read_predictions
from gbench.spec import GraphSpec
from gbench.task import Scale

WITH_PAIRS = [name for name in NETWORKS if "edge" in model_card(name).levels]
TINY = {"training.epochs": 4, "training.batch_size": 16}
TARGETS: dict[str, dict[str, object]] = {
    "energy": {"level": "graph", "unit": "eV", "extensive": True},
    "is_metal": {"level": "graph", "unit": "1", "task": "classification"},
    "length": {"level": "edge", "unit": "Å"},
    "difference": {"level": "edge", "unit": "1", "directed": True},
}


def with_pairs(crystals: Crystals) -> Crystals:
    """Crystals with labels that follow from the structure: an energy summed over atoms, and lengths of short pairs."""
    edges = build_graphs(crystals, GraphSpec(cutoff=3.0, on_short="pad"))
    owner = crystals.crystal_of_atom
    records = []
    for row in range(len(crystals)):
        atoms = slice(crystals.ptr[row], crystals.ptr[row + 1])
        numbers, first = crystals.numbers[atoms], crystals.ptr[row]
        mine = np.flatnonzero((owner[edges.dst] == row) & (edges.dst <= edges.src))
        pairs = np.column_stack([edges.dst[mine], edges.src[mine]]) - first
        records.append(
            {
                "id": crystals.ids[row], "numbers": numbers, "positions": crystals.positions[atoms],
                "cell": crystals.cell[row], "pairs": pairs, "pair_image": edges.image[mine],
                "energy": -10.0 * numbers.sum() + 0.01 * crystals.volume[row],
                "is_metal": float(crystals.labels("gap")[row] == 0),
                "length": edges.distance[mine], "difference": (numbers[pairs[:, 1]] - numbers[pairs[:, 0]]) / 100.0,
            }
        )  # fmt: skip
    return Crystals.build(records, graph_targets=("energy", "is_metal"), edge_targets=("length", "difference"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, prototypes: Dataset) -> Iterator[Dataset]:
    """A dataset of a user's own, with targets of every kind."""
    folder = tmp_path_factory.mktemp("own") / "kinds"
    crystals = with_pairs(prototypes.crystals.take(range(0, 828, 6)))
    crystals.write(folder / "crystals.parquet")
    data = (folder / "crystals.parquet").read_bytes()
    card = {
        "name": "kinds", "version": "1", "title": "Kinds", "description": "All kinds of targets.", "licence": "CC0-1.0",
        "citation": {"text": "nobody"}, "crystals": len(crystals), "content_sha256": crystals.sha256(),
        "sources": [{"file": "crystals.parquet", "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}],
        "targets": {name: {"description": name, "method": {"code": "none"}, **how} for name, how in TARGETS.items()},
        "default_target": "energy", "default_split": "random",
        "errata": [{"ids": [crystals.ids[3]], "count": 1, "action": "flagged", "why": "looks odd"}],
    }  # fmt: skip
    (folder / "card.yaml").write_text(yaml.safe_dump(card))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GBENCH_DATASETS", str(folder.parent))
        registry.dataset_card.cache_clear()
        yield load("kinds")
    registry.dataset_card.cache_clear()


def run(model: str, target: str, results: Path, **overrides: object) -> Result:
    settings = {} if model == "dummy" else {**TINY, **overrides}
    return gbench.run(model, dataset="kinds", target=target, results=results, overrides=settings)


@pytest.mark.parametrize("target", ["length", "difference"])
@pytest.mark.parametrize("model", [*WITH_PAIRS, "dummy"])
def test_edge_targets_are_predicted_per_pair(model: str, target: str, made: Dataset, tmp_path: Path) -> None:
    result = run(model, target, tmp_path)
    frame = read_predictions(tmp_path / result.run_id).query("part == 'test'")
    positions = item_positions(made, target, frame)
    crystals = made.crystals
    assert len(frame) == np.isin(crystals.crystal_of_pair, [made.row_of_id[name] for name in set(frame["id"])]).sum()
    assert (np.diff(np.sort(positions)) > 0).all() and (positions >= 0).all()
    mae = np.abs(frame["prediction"] - made.labels(target)[positions]).mean()
    assert result.metrics["mae"].value == pytest.approx(mae, rel=1e-6)
    assert result.dataset is not None
    assert (result.dataset.level, result.dataset.flagged, result.dataset.dropped) == ("edge", 1, 0)


def test_a_network_learns_the_lengths_of_pairs(made: Dataset, tmp_path: Path) -> None:
    learned = run("cgcnn", "length", tmp_path, **{"training.epochs": 120}).metrics["mae"].value
    assert learned < 0.5 * run("dummy", "length", tmp_path).metrics["mae"].value


@pytest.mark.parametrize("name", WITH_PAIRS)
def test_an_undirected_pair_has_one_value_and_a_directed_one_two(name: str) -> None:
    assert_holds(undirected_pairs_have_one_value(name))


@pytest.mark.parametrize("name", WITH_PAIRS)
def test_pairs_of_a_batch_equal_those_of_its_members(name: str, made: Dataset) -> None:
    crystals, model = made.crystals.take([5, 0, 9]), network(name, "edge")
    with torch.no_grad():
        alone = torch.cat([model(batch_of(name, crystals.take([row]))) for row in range(3)])
        torch.testing.assert_close(model(batch_of(name, crystals)), alone, atol=1e-8, rtol=0)


@pytest.mark.parametrize("model", ["cgcnn", "megnet", "dummy", "knn", "trees"])
def test_classes_are_predicted_as_probabilities(model: str, made: Dataset, tmp_path: Path) -> None:
    overrides = {} if model in {"dummy", "knn", "trees"} else {**TINY, "training.epochs": 15}
    result = gbench.run(model, dataset="kinds", target="is_metal", results=tmp_path, overrides=overrides)
    predicted = read_predictions(tmp_path / result.run_id)["prediction"]
    assert predicted.between(0, 1).all()
    assert result.metrics["roc_auc"].better == "higher"
    assert result.metrics["log_loss"].unit == "1"
    # all but the constant rank metals before insulators
    assert (result.metrics["roc_auc"].value > 0.55) == (model != "dummy")
    for epoch in read_history(tmp_path / result.run_id):
        assert epoch["val_log_loss"] > 0


def test_the_best_epoch_of_a_classifier_has_the_lowest_log_loss(made: Dataset, tmp_path: Path) -> None:
    result = run("cgcnn", "is_metal", tmp_path)
    losses = [epoch["val_log_loss"] for epoch in read_history(tmp_path / result.run_id)]
    assert result.best_epoch == 1 + int(np.argmin(losses))


def test_extensive_targets_grow_with_the_cell(made: Dataset, tmp_path: Path) -> None:
    learned = run("cgcnn", "energy", tmp_path)
    # almost all of it is a sum over atoms, which the per-element references hold
    assert learned.metrics["mae"].value < 0.05 * run("dummy", "energy", tmp_path).metrics["mae"].value


def test_references_are_fitted_to_training_energies(rng: np.random.Generator) -> None:
    counts = torch.as_tensor(rng.integers(0, 5, (50, 104))).double()
    counts[:, 20:] = 0
    counts[:, 1] += 1
    own = torch.linspace(-30, 5, 104).double()[:, None]
    labels = counts @ own
    scale = Scale.of(labels, counts)
    torch.testing.assert_close(torch.tensor(scale.references)[:20].double(), own[:20, 0], atol=1e-6, rtol=0)
    assert not any(scale.references[20:])
    torch.testing.assert_close(torch.as_tensor(scale.offset(counts)), labels, atol=1e-6, rtol=0)
    twice = scale.offset(2 * counts) - 2 * torch.as_tensor(scale.offset(counts))
    assert float(torch.as_tensor(twice).abs().max()) < 1e-6


@pytest.mark.parametrize("target", TARGETS)
def test_every_item_is_found_by_its_name(target: str, made: Dataset) -> None:
    items = np.arange(len(made.labels(target)))[::3]
    frame = item_frame(made, target, items).sample(frac=1, random_state=1)
    np.testing.assert_array_equal(item_positions(made, target, frame), items[frame.index])
    frame.loc[frame.index[0], "id"] = "nobody"
    assert item_positions(made, target, frame)[0] == -1


def test_pairs_survive_taking_rows_and_the_disk(made: Dataset, tmp_path: Path) -> None:
    crystals = made.crystals
    rows = [7, 3, 3, 90]
    taken = crystals.take(rows)
    np.testing.assert_allclose(np.linalg.norm(taken.pair_vector, axis=1), taken.labels("length"), atol=1e-7)
    assert [len(taken.take([row]).pairs) for row in range(4)] == [np.diff(crystals.pair_ptr)[row] for row in rows]
    crystals.write(tmp_path / "again.parquet")
    assert Crystals.read(tmp_path / "again.parquet").sha256() == crystals.sha256()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"level": "graph", "unit": "eV", "directed": True}, "directed belongs to edge targets"),
        ({"level": "node", "unit": "eV", "extensive": True}, "extensive belongs to graph targets of regression"),
        ({"level": "graph", "unit": "eV", "task": "classification"}, "a classification target has unit '1'"),
    ],
)
def test_cards_refuse_targets_that_make_no_sense(change: dict[str, object], message: str) -> None:
    from gbench.cards import Target, validate

    with pytest.raises(CardError, match=message):
        validate(Target, {"description": "x", "method": {"code": "x"}, **change}, "card", CardError)
