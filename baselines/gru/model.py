"""A recurrent network that reads a crystal site by site, in the order of its file."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from gbench.batch import Batch
from gbench.cards import Frozen
from gbench.model import Head, Model
from gbench.nn.atoms import AtomEncoder
from gbench.nn.basis import GaussianBasis
from gbench.nn.heads import Readout
from gbench.nn.lattice import nearest_distance, shape_of
from gbench.nn.network import Size
from gbench.nn.segments import gather

LENGTH_ANGSTROM = 10.0
"""Cell lengths are divided by it, so that they are of the size of cosines."""


class SequenceNetworkConfig(Frozen):
    """Settings of :class:`SequenceNetwork`."""

    hidden: Size = 64
    """Width of the state in each direction."""
    layers: Size = 2
    embedding: Size = 32
    """Width of the encoded element."""
    before: Annotated[int, Field(ge=1, le=12)] = 3
    """Preceding sites whose distances are part of a site's features."""
    basis: Annotated[int, Field(ge=2)] = 20
    """Gaussians of a distance, from 0 to ``basis_stop``."""
    basis_stop: Annotated[float, Field(gt=0)] = 8.0
    """Å"""
    head: Size = 128
    """Width of the layer between readout and output."""


class SequenceNetwork(Model):
    """Gated recurrent units in both directions over the sites of a crystal, then a readout of their states.

    Of each site it is told the element, the distances to the sites before it (to three of them a place is known but for
    a mirror image, as in a Z-matrix) and the shape of the cell. All of these are the same in every orientation, so what
    is left to break is the order of sites and the choice of cell.

    Source: gated recurrent units, https://arxiv.org/abs/1406.1078.
    """

    Config = SequenceNetworkConfig
    uses_graph = False

    def __init__(self, config: SequenceNetworkConfig, head: Head) -> None:
        super().__init__(config, head)
        self.config = config
        self.elements = AtomEncoder(config.embedding)
        self.basis = GaussianBasis(config.basis_stop, config.basis)
        first = config.embedding + config.before * config.basis + 6
        self.layers = nn.ModuleList(
            nn.GRU(2 * config.hidden if number else first, config.hidden, batch_first=True, bidirectional=True)
            for number in range(config.layers)
        )
        self.readout = Readout([2 * config.hidden, config.head], nn.SiLU, head)

    @property
    def hops(self) -> int:
        """Layers; one is enough to carry what is known of a site to all others."""
        layers: int = self.config.layers
        return layers

    def embeddings(self, batch: Batch) -> list[Tensor]:
        """Features of the sites, then their states after each layer, (atoms, width)."""
        states = [self._features(batch)]
        sizes = torch.diff(batch.atom_ptr)
        place = torch.arange(batch.n_atoms, device=sizes.device) - gather(batch.atom_ptr[:-1], batch.graph_of_atom)
        for layer in self.layers:
            padded = states[-1].new_zeros((batch.n_graphs, int(sizes.max()), states[-1].shape[1]))
            padded = padded.index_put((batch.graph_of_atom, place), states[-1])
            packed: PackedSequence = layer(pack_padded_sequence(padded, sizes.cpu(), True, enforce_sorted=False))[0]
            states.append(pad_packed_sequence(packed, batch_first=True)[0][batch.graph_of_atom, place])
        return states

    def forward(self, batch: Batch) -> Tensor:
        """(items, outputs)"""
        out: Tensor = self.readout(self.embeddings(batch)[-1], batch)
        return out

    def _features(self, batch: Batch) -> Tensor:
        shape = shape_of(batch.cell, LENGTH_ANGSTROM)
        parts = [self.elements(batch.numbers), gather(shape, batch.graph_of_atom)]
        for step in range(1, self.config.before + 1):
            later = torch.arange(batch.n_atoms, device=batch.numbers.device)[step:]
            later = later[batch.graph_of_atom[later] == batch.graph_of_atom[later - step]]
            vector = batch.positions[later] - batch.positions[later - step]
            distance = nearest_distance(vector, batch.cell[batch.graph_of_atom[later]])
            empty = vector.new_zeros((batch.n_atoms, self.config.basis))
            # a site with none so far before it has no distance, not one of zero
            parts.append(empty.index_copy(0, later, self.basis(distance)))
        return torch.cat(parts, dim=1)
