"""The best model of each task, by validation, in MLflow's registry."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gbench.result import WEIGHTS_FILE, Result, read_result
from gbench.spec import RunSpec
from gbench.tracking import content
from gbench.tracking.mirror import Mirror
from gbench.tracking.server import TrackingError

ALIAS = "best"


class Best(NamedTuple):
    """The best of a task."""

    name: str
    """Of the registered model: ``gbench.<dataset>.<target>.<scheme>``."""
    result: Result
    """Of the runs with the settings that are best on average, the best."""
    score: str
    """What it was judged by: a name of ``Result.validation``."""
    mean: float
    """Over the runs with these settings, on validation."""
    runs: int


class Registered(NamedTuple):
    """A version in the registry that carries the alias ``best``."""

    best: Best
    version: str


def best_models(results: Iterable[Result]) -> list[Best]:
    """For each task, that is dataset, target and split scheme with its parameters, the model with the best validation.

    Runs with the same settings count together, whatever their fold and seed, by the mean over folds of the mean over
    seeds. Settings that were run on fewer folds than others are not compared. No test score is looked at.
    """
    tasks: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        if result.status == "ok" and result.validation:
            tasks[_task_name(result.spec)].append(result)
    return [_best(name, found) for name, found in sorted(tasks.items())]


def _best(name: str, results: list[Result]) -> Best:
    score = "roc_auc" if all("roc_auc" in result.validation for result in results) else "mae"
    # the larger is better in one of them
    sign = -1 if score == "roc_auc" else 1
    by_settings: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        by_settings[_settings(result.spec)][result.spec.split.fold].append(sign * result.validation[score])
    most = max(len(folds) for folds in by_settings.values())
    means = {
        settings: float(np.mean([np.mean(values) for values in folds.values()]))
        for settings, folds in by_settings.items()
        if len(folds) == most
    }
    chosen = min(means, key=lambda settings: (means[settings], settings))
    own = [result for result in results if _settings(result.spec) == chosen]
    first = min(own, key=lambda result: (sign * result.validation[score], result.run_id))
    return Best(name, first, score, sign * means[chosen], len(own))


def _task_name(spec: RunSpec) -> str:
    """With a hash of the split's parameters where they are not its defaults."""
    split = spec.split
    written = split.model_dump(mode="json", exclude={"fold"})
    plain = type(split)(scheme=split.scheme).model_dump(mode="json", exclude={"fold"})
    other = {key: value for key, value in written.items() if key != "target" and value != plain.get(key)}
    digest = hashlib.sha256(json.dumps(other, sort_keys=True).encode()).hexdigest()[:6]
    return ".".join(("gbench", spec.dataset, spec.target, split.scheme)) + (f"-{digest}" if other else "")


def _settings(spec: RunSpec) -> str:
    """All but fold and seed."""
    return spec.model_copy(update={"seed": 0, "split": spec.split.model_copy(update={"fold": 0})}).canonical()


def read_results(results: Path, run_ids: Iterable[str]) -> list[Result]:
    """Of finished runs the results that have weights, which a registry can hold."""
    folders = (results / run_id for run_id in sorted(run_ids))
    return [read_result(folder) for folder in folders if (folder / WEIGHTS_FILE).is_file()]


def register(mirror: Mirror, results: Iterable[Result], placed: Mapping[str, str]) -> list[Registered]:
    """A version of the registry for the best model of each task, with the alias ``best``.

    ``placed`` are MLflow's runs by run id. A version that is there already is not made again.
    """
    made = []
    for best in best_models(results):
        client, run_id = mirror.client, placed[best.result.run_id]
        with mirror.lock:
            if not client.search_registered_models(f"name = '{best.name}'"):
                client.create_registered_model(best.name, description=_describe(best))
            versions = client.search_model_versions(f"name = '{best.name}'")
            version = next((one.version for one in versions if one.run_id == run_id), None)
            if version is None:
                version = _make(mirror, best, run_id)
            client.set_registered_model_alias(best.name, ALIAS, str(version))
        made.append(Registered(best, str(version)))
    return made


def _make(mirror: Mirror, best: Best, run_id: str) -> str:
    outputs = mirror.client.get_run(run_id).outputs
    if outputs is None or not outputs.model_outputs:
        raise TrackingError(f"run {run_id} on {mirror.uri} has no model any more; delete it there, and it is sent anew")
    model = mirror.client.get_logged_model(outputs.model_outputs[0].model_id)
    tags = {
        content.RUN_ID: best.result.run_id,
        f"validation.{best.score}": f"{best.mean:.6g}",
        "validation.runs": str(best.runs),
    }
    version = mirror.client.create_model_version(
        best.name, source=model.artifact_location, run_id=run_id, model_id=model.model_id, tags=tags
    )
    return str(version.version)


def _describe(best: Best) -> str:
    spec = best.result.spec
    return (
        f"{spec.dataset}@{spec.version} / {spec.target} under the {spec.split.scheme} split. The alias `{ALIAS}` is "
        f"the model with the best validation {best.score}; weights are safetensors, read by `gbench.saved.load_fitted`."
    )
