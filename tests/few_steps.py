"""Trainings of a few steps, of any network at any level."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from laws import crystals_with_pairs

from gbench.batch import GraphTensors
from gbench.cards import Level
from gbench.laws.subjects import config_of, graphs_of, prototypes
from gbench.members import together
from gbench.model import Head, Model
from gbench.ranks import HERE, Place
from gbench.registry import model_class
from gbench.spec import Training
from gbench.splitting import Split
from gbench.task import Task
from gbench.train import Fit, fit


def network(model: str) -> type[Model]:
    kind = model_class(model)
    assert issubclass(kind, Model)
    return kind


def small_task(model: str, level: Level, dtype: torch.dtype = torch.float32) -> Task:
    """Every prototype, with labels at random, one of them missing."""
    crystals = crystals_with_pairs(prototypes())
    items = {"graph": len(crystals), "node": len(crystals.numbers), "edge": len(crystals.pairs)}[level]
    labels = torch.randn(items, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels[1] = torch.nan
    rows = np.arange(len(crystals))
    tensors = GraphTensors(graphs_of(model, crystals), dtype, merge=network(model).sees)
    return Task(tensors, labels, level, Split(rows, rows, rows))


def trained(model: str, task: Task, folder: Path, place: Place = HERE, **settings: Any) -> Fit:
    """Two epochs of two batches, in the precision of the task; ``settings`` are those of training."""
    chosen = Training.model_validate({"epochs": 2, "batch_size": 3, **settings})
    config, kind, dtype = config_of(model), network(model), task.tensors.positions.dtype
    return fit(
        lambda: together(lambda: kind(config, Head(task.level)), chosen.members).to(dtype),
        task, chosen, 0, folder / f"{model}, {place.name}", lambda _: None, place=place,
    )  # fmt: skip
