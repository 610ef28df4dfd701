"""What MLflow is told of a run: names and numbers, from the files of its result."""

import json
import socket
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gbench.errors import UnknownNameError
from gbench.registry import dataset_card
from gbench.result import Result, read_history
from gbench.sampling import read_samples

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Metric

DIGEST = 36
"""Characters that MLflow keeps of a dataset's digest; the whole hash is a tag of the run."""
RUN_ID, CREATED, FOLDER = "gbench.run_id", "gbench.created", "gbench.folder"


def run_name(result: Result) -> str:
    """Model, scheme, fold and seed."""
    spec = result.spec
    return f"{spec.model} {spec.split.scheme} {spec.split.fold} seed {spec.seed}"


def milliseconds(result: Result) -> tuple[int, int]:
    """When the run began and ended, Unix time in ms; where it was stopped in between, as if it had not been."""
    ended = datetime.fromisoformat(result.created).timestamp()
    took = max(result.cost.total_seconds, result.cost.train_seconds) if result.cost else 0.0
    return int((ended - took) * 1000), int(ended * 1000)


def metrics(result: Result, folder: Path) -> "list[Metric]":
    """Those of every epoch and every sample of the machine, then the scores and what the run took."""
    from mlflow.entities import Metric

    _, ended = milliseconds(result)
    history = read_history(folder)
    rows: list[Metric] = []
    # epochs stand one after the other before the end
    left = sum(epoch["seconds"] for epoch in history)
    for epoch in history:
        left -= epoch["seconds"]
        values = {key: value for key, value in epoch.items() if key != "epoch" and not isinstance(value, list)}
        rows += [Metric(key, value, int(ended - left * 1000), epoch["epoch"]) for key, value in values.items()]
    samples = read_samples(folder)
    times = [int(time * 1000) for time in samples.pop("time", ())]
    for name, column in samples.items():
        rows += [Metric(f"system/{name}", value, times[step], step) for step, value in enumerate(column)]
    return rows + [Metric(key, value, ended, 0) for key, value in scores(result).items()]


def scores(result: Result) -> dict[str, float]:
    """Test and validation scores, and what the run took."""
    found: dict[str, float] = {}
    for name, metric in result.metrics.items():
        found |= {f"test_{name}": metric.value, f"test_{name}_low": metric.low, f"test_{name}_high": metric.high}
    found |= {f"best_val_{name}": value for name, value in result.validation.items()}
    if result.cost:
        cost = result.cost
        found |= {"parameters": cost.parameters, "train_seconds": cost.train_seconds}
        found |= {"peak_memory_mb": cost.peak_memory_mb}
        measured = ("train_cpu_seconds", "train_crystals_per_second", "predict_crystals_per_second", "train_flops")
        found |= {name: value for name in measured if (value := getattr(cost, name)) is not None}
    return found


def params(result: Result) -> dict[str, str]:
    """Every setting, by dotted key."""
    return {key: str(value)[:500] for key, value in _flat(result.spec.model_dump(mode="json")).items()}


def tags(result: Result, folder: Path) -> dict[str, str]:
    """Where the run comes from: hashes, commit, the folder of the result."""
    found = {
        RUN_ID: result.run_id,
        CREATED: result.created,
        FOLDER: whereabouts(folder),
        "gbench.status": result.status,
        "gbench.version": result.environment.gbench,
        "git.commit": result.environment.git_commit or "",
        "git.dirty": str(result.environment.git_dirty),
    }
    if result.dataset:
        found |= {"dataset": f"{result.dataset.name}@{result.dataset.version}", "dataset.sha256": result.dataset.sha256}
    if result.split:
        found |= {"split.sha256": result.split.sha256, "split.leaks": str(result.split.leaks)}
    if result.graph:
        found["graph.sha256"] = result.graph.sha256
    return found


def whereabouts(folder: Path) -> str:
    """Machine and folder of a result."""
    return f"{socket.gethostname()}:{folder.resolve()}"


def dataset_input(result: Result) -> "DatasetInput | None":
    """The data the run learned from: name and version, content hash, where it comes from; None if it failed before."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    about, split = result.dataset, result.split
    if about is None:
        return None
    source: dict[str, Any] = {"name": about.name, "version": about.version, "content_sha256": about.sha256}
    source["sources"] = _sources(about.name, about.version)
    profile: dict[str, Any] = {"crystals": about.crystals, "dropped": about.dropped, "flagged": about.flagged}
    if split is not None:
        profile |= {"train": split.train, "validation": split.val, "test": split.test, "split_sha256": split.sha256}
    schema = {"target": about.target, "level": about.level, "unit": about.unit}
    made = Dataset(
        name=f"{about.name}@{about.version}", digest=about.sha256[:DIGEST], source_type="gbench",
        source=json.dumps(source), schema=json.dumps(schema), profile=json.dumps(profile),
    )  # fmt: skip
    return DatasetInput(made, [InputTag("mlflow.data.context", "training")])


def _sources(name: str, version: str) -> list[dict[str, Any]]:
    """Files the dataset is made from, where the card of that version is at hand."""
    try:
        card = dataset_card(name)
    except UnknownNameError:
        return []
    if card.version != version:
        return []
    return [{"file": one.file, "urls": one.urls, "sha256": one.identity} for one in card.sources]


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
