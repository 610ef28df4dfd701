"""Small trainings, run for what they leave: errors, weights, edges."""

import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor

from gbench.dataset import Dataset, load
from gbench.evaluate import independent_groups
from gbench.model import Model
from gbench.observer import Observer
from gbench.predictions import item_positions
from gbench.registry import class_of
from gbench.regress.edges import EdgeHashes, edge_hashes
from gbench.regress.suite import TrainingCase
from gbench.result import WEIGHTS_FILE, Result, read_predictions
from gbench.runner import run_spec
from gbench.spec import RunSpec, Training

KEYS = ["seed", "id", "site"]
SAME_DIRECTION = 1e-5
"""Relative; rounding of float32 leaves about a hundredth of it."""


@dataclass(frozen=True)
class Trained:
    """What a training left, over all its seeds."""

    run_ids: tuple[str, ...]
    errors: pd.DataFrame
    """``seed``, ``id``, ``site`` (-1 for a whole crystal), ``group`` and ``error``, |error| on the test part."""
    unmoved: tuple[str, ...]
    """Weights that no seed moved, but for decay."""
    edges: EdgeHashes | None

    @cached_property
    def mae(self) -> tuple[float, ...]:
        """By seed."""
        return tuple(self.errors.groupby("seed")["error"].mean().tolist())


class _Start(Observer):
    """Remembers the weights that training starts from."""

    def __init__(self) -> None:
        self.weights: dict[str, Tensor] = {}

    def model(self, model: Model, training: Training) -> None:  # noqa: ARG002
        self.weights = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def train(case: TrainingCase) -> Trained:
    """Run a training with each of its seeds.

    Raises:
        GbenchError: as :func:`gbench.run`.
    """
    specs = case.specs()
    dataset = load(specs[0].dataset)
    frames, unmoved = [], []
    with tempfile.TemporaryDirectory() as folder:
        for spec in specs:
            start = _Start()
            # copies of test compounds in train make a training easy, and here that is wanted: errors are small
            result = run_spec(spec, Path(folder), start, allow_leak=True)
            frames.append(test_errors(result, Path(folder) / result.run_id, dataset).assign(seed=spec.seed))
            unmoved.append(_unmoved(start.weights, Path(folder) / result.run_id / WEIGHTS_FILE))
    return Trained(
        run_ids=tuple(spec.run_id for spec in specs),
        errors=pd.concat(frames, ignore_index=True),
        unmoved=tuple(sorted(set.intersection(*unmoved))),
        edges=_edges(specs[0], dataset),
    )


def test_errors(result: Result, folder: Path, dataset: Dataset) -> pd.DataFrame:
    """``id``, ``site``, ``group`` and ``error`` of the labelled test items of a run."""
    target = result.spec.target
    frame = read_predictions(folder).query("part == 'test'")
    positions = item_positions(dataset, target, frame)
    groups = independent_groups(dataset.crystals)[dataset.row_of_item(target)[positions]]
    error = np.abs(frame["prediction"].to_numpy(np.float64) - dataset.labels(target)[positions])
    errors = frame[["id", "site"]].assign(group=groups, error=error.astype(np.float32))
    return errors.dropna().reset_index(drop=True)


def _unmoved(start: dict[str, Tensor], weights: Path) -> set[str]:
    if not start:
        return set()
    end = load_file(weights)
    return {name for name, value in start.items() if only_decayed(value, end[name])}


def only_decayed(start: Tensor, end: Tensor) -> bool:
    """Whether weights are what they were but for a common factor, which weight decay makes without any learning."""
    one, other = start.double().flatten(), end.double().flatten()
    if len(one) == 1 or not one.any():
        return torch.equal(one, other)
    factor = (one @ other) / (one @ one)
    left = torch.linalg.vector_norm(other - factor * one)
    return bool(left <= SAME_DIRECTION * torch.linalg.vector_norm(one))


def _edges(spec: RunSpec, dataset: Dataset) -> EdgeHashes | None:
    if spec.graph is None:
        return None
    kind = class_of(spec)
    return edge_hashes(dataset, spec.graph, kind.sees if issubclass(kind, Model) else None)
