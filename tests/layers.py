"""What the tests of single layers share: random states on a real batch, and a peer's output to compare with."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gbench.batch import Batch, GraphTensors
from gbench.dataset import Dataset
from gbench.nn.ops import edge_ops
from gbench.nn.stack import Edges
from gbench.spec import GraphSpec

HIDDEN, BASIS = 8, 12


class LayerInput(NamedTuple):
    """A batch, and what a layer is given on it."""

    batch: Batch
    h: Tensor
    edges: Edges

    def with_loops(self, basis: float = 0.0) -> tuple[Tensor, Tensor]:
        """(2, edges + atoms) the edges and a loop at each atom, and their features, ``basis`` on the loops."""
        loops = torch.arange(self.batch.n_atoms)
        edge_index = torch.cat([self.batch.edge_index, loops.expand(2, -1)], dim=1)
        return edge_index, torch.cat([self.edges.basis, self.h.new_full((len(loops), BASIS), basis)])

    def incoming(self) -> list[Tensor]:
        """The edges that reach each atom."""
        return [torch.nonzero(self.batch.dst == atom)[:, 0] for atom in range(self.batch.n_atoms)]


def layer_input(prototypes: Dataset) -> LayerInput:
    """Random states and edge features on some prototypes, with self-images and edges that share both ends."""
    tensors = GraphTensors(prototypes.graphs(GraphSpec(on_short="grow")), dtype=torch.float64)
    batch = tensors.batch(torch.arange(0, 828, 100))
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(batch.n_atoms, HIDDEN, generator=generator, dtype=torch.float64)
    basis = torch.randn(len(batch.src), BASIS, generator=generator, dtype=torch.float64)
    return LayerInput(batch, h, Edges(basis, edge_ops(batch, "pyg")))


def copy(pairs: dict[Tensor, Tensor]) -> None:
    """Write each value into its parameter."""
    with torch.no_grad():
        for parameter, value in pairs.items():
            parameter.copy_(value)


def assert_equal(layer: nn.Module, given: LayerInput, peer: Callable[[Tensor], Tensor]) -> None:
    """The layer's output and its gradient with respect to node states are the peer's."""
    outputs = []
    for function in (lambda h: layer(h, given.edges), peer):
        h = given.h.clone().requires_grad_()
        out = function(h)
        out.square().sum().backward()
        assert h.grad is not None
        outputs.append((out.detach(), h.grad))
    torch.testing.assert_close(outputs[0], outputs[1], atol=1e-10, rtol=1e-10)
