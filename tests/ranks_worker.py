"""One of several processes that train small networks together; the first writes what came of it.

torchrun --nproc-per-node 2 tests/ranks_worker.py FOLDER
"""

import hashlib
import sys
from pathlib import Path
from typing import Any, NamedTuple

import torch
from few_steps import small_task, trained
from laws import NETWORKS
from torch import distributed as dist

from gbench.ranks import joined
from gbench.registry import model_card


class Case(NamedTuple):
    """A network, trained in so many steps."""

    model: str
    settings: dict[str, Any] = {}
    dtype: torch.dtype = torch.float64

    @property
    def name(self) -> str:
        """For a person."""
        return "-".join([self.model, *self.settings, str(self.dtype).removeprefix("torch.")])


class Found(NamedTuple):
    """What two processes made of it."""

    weights: dict[str, torch.Tensor]
    history: list[dict[str, float]]
    bits: list[str]
    """Hash of the weights in each process."""


CASES = [Case(model) for model in NETWORKS]
CASES += [Case("cgcnn", {"members": 2, "ema": 0.9, "clip_norm": 1e-3})]
CASES += [Case(model, {}, torch.float32) for model in ("schnet", "megnet", "painn")]


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    found = []
    with joined("cpu") as place:
        for case in CASES:
            model, settings, dtype = case
            task = small_task(model, model_card(model).levels[-1], dtype)
            fitted = trained(model, task, folder, place, **settings)
            weights = fitted.model.state_dict()
            bits = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in weights.values())).hexdigest()
            everyone: list[str] = [""] * place.ranks.size
            dist.all_gather_object(everyone, bits)
            found.append(tuple(Found(weights, [epoch.record() for epoch in fitted.history], everyone)))
        if place.ranks.first:
            torch.save(found, folder / "found.pt")
        else:
            assert place.ranks.listen() is None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
