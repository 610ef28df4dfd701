"""From predictions to a Result."""

import dataclasses
import hashlib
import json
import time
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors.torch import save

from gbench.cards import Target
from gbench.classification import classification_metrics, classification_scores
from gbench.cost import Spent, cost
from gbench.crystals import Crystals, FloatArray, IntArray
from gbench.elements import reduced_formulas
from gbench.environment import environment
from gbench.errors import GbenchError, TrainingError
from gbench.metrics import point_scores, regression_metrics
from gbench.predictions import item_frame
from gbench.prepare import Prepared
from gbench.result import (
    WEIGHTS_FILE,
    DatasetRecord,
    Failure,
    GraphRecord,
    Metric,
    Result,
    SplitRecord,
    write_history,
    write_predictions,
)
from gbench.spec import RunSpec
from gbench.storage import atomic_path
from gbench.train import Fit


@dataclass(frozen=True)
class Outcome:
    """What a model delivers."""

    val: FloatArray
    test: FloatArray
    """(items,) predictions in the unit of the target."""
    spent: Spent
    fitted: Fit | None = None


def evaluate(spec: RunSpec, prepared: Prepared, outcome: Outcome, folder: Path, started: float) -> Result:
    """The Result of a run; its predictions, history and weights are written to ``folder``.

    Here, and only here, test labels are read.
    """
    split, labels, dataset = prepared.split, prepared.labels, prepared.dataset
    val, test = prepared.items(split.val), prepared.items(split.test)
    groups = formula_groups(dataset.formulas)[dataset.row_of_item(spec.target)]
    known_val, known_test = ~np.isnan(labels[val]), ~np.isnan(labels[test])
    validation = _point_scores(labels[val][known_val], outcome.val[known_val], prepared.about)
    metrics = _metrics(labels[test][known_test], outcome.test[known_test], prepared.about, groups[test][known_test])
    frames = [
        _prediction_frame(prepared, "val", val, outcome.val),
        _prediction_frame(prepared, "test", test, outcome.test),
    ]
    write_predictions(folder, pd.concat(frames, ignore_index=True))
    if outcome.fitted:
        write_history(folder, [epoch.record() for epoch in outcome.fitted.history])
        with atomic_path(folder / WEIGHTS_FILE) as temporary:
            # through bytes: the library's own writer reports a full disk as an error of its own kind
            temporary.write_bytes(weights_file(outcome.fitted))
    return Result(
        status="ok",
        run_id=spec.run_id,
        spec=spec,
        created=_now(),
        environment=environment(),
        **_records(spec, prepared),
        metrics=metrics,
        validation=validation,
        best_epoch=outcome.fitted.best_epoch if outcome.fitted else None,
        cost=cost(
            outcome.spent,
            outcome.fitted,
            (len(split.train), len(split.val), len(split.test)),
            time.perf_counter() - started,
        ),
    )


def _metrics(label: FloatArray, prediction: FloatArray, about: Target, groups: IntArray) -> dict[str, Metric]:
    if about.task == "classification":
        return classification_metrics(label, prediction, groups)
    return regression_metrics(label, prediction, about.unit, groups)


def _point_scores(label: FloatArray, prediction: FloatArray, about: Target) -> dict[str, float]:
    score = classification_scores if about.task == "classification" else point_scores
    return score(label, prediction)


def weights_file(fitted: Fit) -> bytes:
    """Weights as safetensors; the metadata hold the mean and deviation that turn outputs into the target's unit.

    Of a network that learned several targets they also hold which of its outputs is meant, counted from 0. One entry of
    metadata: the library writes several in any order, and equal runs must give equal bytes.
    """
    tensors = {name: tensor.cpu().contiguous() for name, tensor in fitted.model.state_dict().items()}
    scale = dataclasses.asdict(fitted.scale) | ({"output": fitted.output} if len(fitted.scales) > 1 else {})
    return save(tensors, {"scale": json.dumps(scale)})


def independent_groups(crystals: Crystals) -> IntArray:
    """(n,) group of each crystal, by :func:`formula_groups`."""
    return formula_groups(np.array(reduced_formulas(crystals)))


def formula_groups(formulas: NDArray[np.str_]) -> IntArray:
    """(n,) group of each crystal: crystals of one reduced formula are not independent evidence.

    Where all have one formula, as in a set of polymorphs, it is about crystals that one wants to know, and each stands
    for itself.
    """
    names, groups = np.unique(formulas, return_inverse=True)
    return np.arange(len(formulas)) if len(names) == 1 else groups.astype(np.int64)


def _prediction_frame(prepared: Prepared, part: str, items: IntArray, predictions: FloatArray) -> pd.DataFrame:
    return item_frame(prepared.dataset, prepared.target, items).assign(part=part, prediction=predictions)


def _records(spec: RunSpec, prepared: Prepared) -> dict[str, Any]:
    card, split, graphs = prepared.dataset.card, prepared.split, prepared.graphs
    target = card.targets[spec.target]
    sizes = {"train": len(split.train), "val": len(split.val), "test": len(split.test)}
    return {
        "dataset": DatasetRecord(
            name=card.name,
            version=card.version,
            sha256=prepared.dataset.sha256,
            crystals=card.crystals,
            dropped=sum(erratum.count for erratum in card.errata if erratum.action == "dropped"),
            flagged=sum(erratum.count for erratum in card.errata if erratum.action == "flagged"),
            target=spec.target,
            level=target.level,
            unit=target.unit,
        ),
        "split": SplitRecord(
            sha256=_split_hash(prepared),
            frozen=split.frozen,
            verdict=prepared.card and prepared.card.verdict,
            why=prepared.card and prepared.card.why,
            **sizes,
        ),
        "graph": graphs
        and GraphRecord(sha256=graphs.sha256, edges_per_atom=graphs.edges_per_atom, warnings=graphs.warnings),
    }


def _split_hash(prepared: Prepared) -> str:
    """Hash of the ids in each part, so that a missing label or another order of parts shows."""
    ids = prepared.dataset.crystals.ids
    parts = [[ids[row] for row in part] for part in (prepared.split.train, prepared.split.val, prepared.split.test)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def failure(spec: RunSpec, prepared: Prepared | None, error: Exception) -> Result:
    """The Result of a run that ended in ``error``."""
    trace = "" if isinstance(error, GbenchError) else traceback.format_exc()
    step = error.step if isinstance(error, TrainingError) else None
    return Result(
        status="error",
        run_id=spec.run_id,
        spec=spec,
        created=_now(),
        environment=environment(),
        **(_records(spec, prepared) if prepared else {}),
        error=Failure(kind=type(error).__name__, message=str(error), traceback=trace, step=step),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
