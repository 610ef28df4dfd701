"""A small world of cards, data and results that looks like the real one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import gbench.dataset
from gbench import registry
from gbench.content import content
from gbench.crystals import Crystals
from gbench.dataset import Dataset
from gbench.errors import FetchError
from gbench.result import (
    Cost,
    DatasetRecord,
    Environment,
    Failure,
    GraphRecord,
    Metric,
    Result,
    SplitRecord,
    write_history,
    write_predictions,
    write_result,
)
from gbench.site.build import build
from gbench.site.runs import ScoredRun
from gbench.spec import GraphSpec, RunSpec, Training
from gbench.splitting import make_spec

UNITS = {"e_form": "eV/atom", "hirshfeld": "e", "last_phdos_peak": "1/cm"}
PARAMETERS = {"megnet": 167_329, "cgcnn": 96_897, "trees": 12_000, "knn": 0, "dummy": 0}
TRAINED = ("megnet", "cgcnn")


def small_crystals() -> Crystals:
    """40 crystals of two atoms, with labels per crystal and per site."""
    rng = np.random.default_rng(1)
    records = [
        {
            "id": f"pbe-{row:03d}",
            "numbers": [11, 17],
            "positions": [[0, 0, 0], [2.8, 0, 0]],
            "cell": np.eye(3) * 5.6,
            "e_form": float(rng.normal(-1, 1)),
            "hirshfeld": [0.2, -0.2],
        }
        for row in range(40)
    ]
    return Crystals.build(records, ["e_form"], ["hirshfeld"])


class Bench:
    """Content and results under one folder, and the site built from them."""

    def __init__(self, root: Path, templates: Path) -> None:
        self.root = root
        self.out = root / "site"
        self.local = root / "results"
        self.verified = root / "leaderboard" / "results"
        self.crystals = small_crystals()
        self.verified.mkdir(parents=True)
        (root / "leaderboard" / "templates").symlink_to(templates)
        self.add_dataset("pbe_prototypes", "1", self.crystals.sha256(), {"e_form": "graph", "hirshfeld": "node"})
        self.add_dataset("matbench_phonons", "0.1", "d" * 64, {"last_phdos_peak": "graph"}, n_splits=5)
        for name in PARAMETERS:
            self.add_model(name)

    def add_dataset(
        self, name: str, version: str, sha256: str, targets: dict[str, str], n_splits: int | None = None
    ) -> None:
        official = {"n_splits": n_splits, "random_state": 1, "source": "the publisher"} if n_splits else None
        card = {
            "name": name,
            "version": version,
            "title": name.replace("_", " "),
            "description": "Crystals for a test.",
            "licence": "CC0-1.0",
            "citation": {"text": "Author et al., Journal (2020)", "doi": "10.1000/182"},
            "sources": [
                {"file": "crystals.parquet", "sha256": "a" * 64, "size": 10, "urls": ["https://example.org/c"]}
            ],
            "crystals": 40,
            "content_sha256": sha256,
            "targets": {
                target: {
                    "level": level,
                    "unit": UNITS[target],
                    "description": f"The property {target}.",
                    "method": {"code": "GPAW", "functional": "PBE"},
                    "noise": 0.011 if target == "e_form" else None,
                }
                for target, level in targets.items()
            },
            "default_target": next(iter(targets)),
            "default_split": "official" if official else "cluster",
            "official": official,
            "near_duplicates": "Three volumes of each compound.",
            "errata": [{"count": 2, "ids": ["pbe-900", "pbe-901"], "action": "dropped", "why": "did not converge"}],
        }
        self._card("datasets", name, card)

    def add_model(self, name: str, **changes: Any) -> None:
        card: dict[str, Any] = {
            "name": name,
            "title": f"The {name} baseline",
            "description": f"What {name} is.",
            "framework": "pyg" if name in TRAINED else "numpy",
            "licence": "MIT",
            "levels": ["graph", "node"],
            "symmetries": ["permutation", "rotation"],
        }
        if name in TRAINED:
            card["paper"] = {
                "title": f"On {name}",
                "authors": "Author et al.",
                "year": 2019,
                "url": "https://doi.org/10.1000/1",
            }
        self._card("baselines", name, card | changes)

    def _card(self, folder: str, name: str, card: dict[str, Any]) -> None:
        path = self.root / folder / name / "card.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(card, sort_keys=False), encoding="utf-8")

    def spec(self, model: str, scheme: str = "cluster", fold: int = 0, seed: int = 0, **changes: Any) -> RunSpec:
        phonons = scheme == "official"
        settings: dict[str, Any] = {
            "dataset": "matbench_phonons" if phonons else "pbe_prototypes",
            "version": "0.1" if phonons else "1",
            "target": "last_phdos_peak" if phonons else "e_form",
            "config": {"hidden": 64} if model in TRAINED else {},
            "graph": GraphSpec(cutoff=5.0) if model in TRAINED else None,
            "training": Training() if model in TRAINED else None,
        }
        split = make_spec(scheme, fold=fold)
        return RunSpec.model_validate(settings | changes | {"model": model, "split": split.model_dump(), "seed": seed})

    def result(self, spec: RunSpec, mae: float, spread: float = 0.15, **changes: Any) -> Result:
        unit = UNITS[spec.target]
        sha256 = self.crystals.sha256() if spec.dataset == "pbe_prototypes" else "d" * 64
        trained = spec.training is not None

        def metric(value: float, unit: str, better: Any) -> Metric:
            ends = sorted((value * (1 - spread), value * (1 + spread)))
            return Metric(value=value, unit=unit, low=ends[0], high=ends[1], better=better)

        fields: dict[str, Any] = {
            "status": "ok",
            "run_id": spec.run_id,
            "spec": spec,
            "created": "2026-03-01T12:00:00Z",
            "environment": Environment(
                gbench="0.1.0",
                python="3.11.9",
                platform="Linux-6.1-x86_64",
                libraries={"torch": "2.13.0", "numpy": "2.3.0"},
                git_commit="0123456789abcdef0123456789abcdef01234567",
                git_dirty=False,
            ),
            "dataset": DatasetRecord(
                name=spec.dataset,
                version=spec.version,
                sha256=sha256,
                crystals=40,
                target=spec.target,
                level="node" if spec.target == "hirshfeld" else "graph",
                unit=unit,
            ),
            "graph": GraphRecord(sha256="e" * 64, edges_per_atom=38.2) if spec.graph else None,
            "split": SplitRecord(sha256=f"{spec.split.fold:064d}", frozen=True, train=30, val=4, test=6),
            "metrics": {
                "mae": metric(mae, unit, "lower"),
                "rmse": metric(mae * 1.4, unit, "lower"),
                "r2": metric(0.9, "1", "higher"),
            },
            "validation": {"mae": mae * 0.9, "rmse": mae * 1.2, "r2": 0.92},
            "best_epoch": 4 if trained else None,
            "cost": Cost(
                parameters=PARAMETERS.get(spec.model, 1000),
                epochs=5 if trained else 0,
                seconds_per_epoch=0.21 if trained else 0.0,
                train_seconds=25.4 if trained else 0.3,
                train_cpu_seconds=48.2 if trained else 0.2,
                train_crystals_per_second=590.0,
                predict_crystals_per_second=4321.0,
                train_flops=7.65e12 if trained else None,
                total_seconds=30.0,
                peak_memory_mb=512.0,
                device="cpu",
                threads=2,
            ),
        }
        return Result.model_validate(fields | changes)

    def save(self, result: Result, folder: Path | None = None, predictions: bool = True) -> Result:
        """Write a result as a run leaves it, with predictions that have its MAE."""
        place = (folder or self.local) / result.run_id
        write_result(place, result)
        if result.status == "ok" and predictions:
            write_predictions(place, self.predictions(result))
        if result.spec.training:
            write_history(
                place, [{"epoch": n, "train_loss": 1 / n, "val_mae": 0.5 / n, "seconds": 0.2} for n in range(1, 6)]
            )
        return result

    def predictions(self, result: Result) -> pd.DataFrame:
        rng = np.random.default_rng(int(result.run_id[:8], 16))
        rows = np.arange(6) if result.spec.target == "e_form" else np.arange(3).repeat(2)
        ids = [self.crystals.ids[row] for row in rows]
        sites = np.full(6, -1) if result.spec.target == "e_form" else np.array([0, 1] * 3)
        labels = self.crystals.graph_targets["e_form"][:6]
        if result.spec.target == "hirshfeld":
            labels = self.crystals.node_targets["hirshfeld"][:6]
        errors = rng.normal(size=6)
        errors *= result.metrics["mae"].value / np.abs(errors).mean()
        return pd.DataFrame({"id": ids, "site": sites, "part": "test", "prediction": labels + errors})

    def add(
        self, model: str, mae: float, scheme: str = "cluster", fold: int = 0, seed: int = 0, **changes: Any
    ) -> Result:
        return self.save(self.result(self.spec(model, scheme, fold, seed, **changes), mae))

    def scored(
        self, model: str, mae: float, scheme: str = "cluster", fold: int = 0, seed: int = 0, **changes: Any
    ) -> ScoredRun:
        """A run that is on no disk."""
        return self.as_scored(self.result(self.spec(model, scheme, fold, seed, **changes), mae))

    def as_scored(self, result: Result) -> ScoredRun:
        assert result.dataset is not None
        assert result.split is not None
        return ScoredRun(result, self.local / result.run_id, result.dataset, result.split, result.metrics["mae"])

    def fail(self, model: str, message: str) -> Result:
        failure = Failure(kind="TrainingError", message=message, traceback="Traceback ...")
        changes: dict[str, Any] = {
            "status": "error",
            "error": failure,
            "metrics": {},
            "validation": {},
            "dataset": None,
            "split": None,
        }
        return self.save(self.result(self.spec(model, seed=99), 1.0, **changes))

    def fill(self) -> None:
        """Five models on a cluster and a random split, and on five official folds."""
        for factor, scheme in ((1.0, "cluster"), (0.3, "random")):
            maes = {"megnet": 0.083, "cgcnn": 0.091, "trees": 0.142, "knn": 0.310}
            for model, mae in maes.items():
                self.add(model, mae * factor, scheme)
            self.add("dummy", 0.702, scheme)
        phonons = {"megnet": 28.4, "cgcnn": 30.1, "trees": 67.6, "knn": 95.2, "dummy": 324.0}
        for model, mae in phonons.items():
            for fold, factor in enumerate((0.93, 1.0, 1.02, 1.07, 0.98)):
                if model != "knn" or fold < 2:
                    self.add(model, mae * factor, "official", fold)
        self.fail("cgcnn", "the loss became NaN in epoch 3; lower training.learning_rate")

    def load(self, name: str, *, download: bool) -> Dataset:
        assert not download
        if name != "pbe_prototypes":
            raise FetchError(f"{name}: no network in tests")
        return Dataset(registry.dataset_card(name), self.crystals)

    def build(self) -> Path:
        return build([self.verified, self.local], self.out)

    def page(self, name: str) -> str:
        return (self.out / name).read_text(encoding="utf-8")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(tmp_path, content("leaderboard") / "templates")
    monkeypatch.setattr("gbench.content.content_root", lambda: tmp_path)
    monkeypatch.setattr(gbench.dataset, "load", made.load)
    registry.dataset_card.cache_clear()
    registry.named_model_card.cache_clear()
    yield made
    registry.dataset_card.cache_clear()
    registry.named_model_card.cache_clear()
