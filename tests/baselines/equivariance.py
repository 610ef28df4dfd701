"""What tests of equivariant models share: a batch to turn, and what turning does to irreps."""

import dataclasses

import numpy as np
import torch
from e3nn import o3
from scipy.spatial.transform import Rotation
from torch import Tensor

from gbench.batch import Batch, GraphTensors
from gbench.crystals import Crystals
from gbench.dataset import Dataset
from gbench.spec import GraphSpec

TOLERANCE = 1e-8

PROPER = torch.as_tensor(Rotation.random(rng=np.random.default_rng(5)).as_matrix())
TURNS = {
    "rotation": PROPER,
    "inversion": -torch.eye(3, dtype=torch.float64),
    "mirror": torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)),
    "rotation and inversion": -PROPER,
}


def irregular(prototypes: Dataset) -> Batch:
    """Crystals whose atoms are moved off their symmetric sites, so that no vector vanishes by symmetry."""
    chosen = prototypes.crystals.take([0, 300, 600, 800])
    noise = np.random.default_rng(0).normal(0, 0.05, chosen.positions.shape)
    moved = Crystals(chosen.ids, chosen.numbers, chosen.positions + noise, chosen.cell, chosen.pbc, chosen.ptr)
    dataset = dataclasses.replace(prototypes, crystals=moved)
    tensors = GraphTensors(dataset.graphs(GraphSpec(on_short="grow")), dtype=torch.float64)
    return tensors.batch(torch.arange(4))


def turned(batch: Batch, turn: Tensor) -> Batch:
    """The same crystals, turned: x -> turn x."""
    return dataclasses.replace(
        batch,
        positions=batch.positions @ turn.T,
        cell=batch.cell @ turn.T,
        vector=batch.vector @ turn.T,
        pair_vector=batch.pair_vector @ turn.T,
    )


def representation(irreps: o3.Irreps, turn: Tensor) -> Tensor:
    """(dim, dim) what a turn does to a state of these irreps: Wigner's D, of e3nn."""
    before = torch.get_default_dtype()
    # e3nn works out the generators of rotations in the default precision, whatever that of its argument
    torch.set_default_dtype(torch.float64)
    try:
        matrix: Tensor = irreps.D_from_matrix(turn)
    finally:
        torch.set_default_dtype(before)
    return matrix


def assert_same_states(found: Tensor, expected: Tensor, irreps: o3.Irreps) -> None:
    """Equal to 1e-8 of the usual size of each irrep: a weak one is not hidden by a strong one."""
    for where, (_, ir) in zip(irreps.slices(), irreps, strict=True):
        size = expected[:, where].square().mean().sqrt()
        assert size > TOLERANCE, f"{ir} vanishes, so nothing is tested"
        torch.testing.assert_close(found[:, where] / size, expected[:, where] / size, atol=TOLERANCE, rtol=0)
