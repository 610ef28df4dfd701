"""Graph attention network (GATv2) whose attention sees distances.

Source: Veličković et al. 2018, https://arxiv.org/abs/1710.10903; Brody, Alon and Yahav 2022,
https://arxiv.org/abs/2105.14491.
"""

from typing import ClassVar, Literal, Self

import torch
from pydantic import model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from gbench.nn.network import Size
from gbench.nn.stack import Edges, Stack, StackConfig
from gbench.quotient import Sight

SLOPE = 0.2
"""Of the leaky ReLU, for negative numbers; the papers' value."""


class GATConfig(StackConfig):
    """Settings of :class:`GAT`."""

    heads: Size = 4
    merge: Literal["concat", "mean"] = "concat"
    """``concat``: heads of width ``hidden / heads``, side by side. ``mean``: heads of width ``hidden``, averaged."""
    self_loop: bool = True
    """Whether an atom attends to itself too, as in the papers."""
    edge_values: bool = True
    """Whether distances enter what is averaged, besides the attention. The papers have no edge features; without this,
    a crystal whose atoms are all equivalent looks the same at any volume."""

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.merge == "concat" and self.hidden % self.heads:
            raise ValueError(
                f"{self.heads} heads cannot share a width of {self.hidden}; choose a divisor, or merge: mean"
            )
        return self


class GraphAttention(nn.Module):
    r"""One layer of attention: equation 7 of Brody et al., with edge features.

    .. math::
        \sum_{j,k} \alpha_{ij,k} (W_l h_j + [W_e u_{ij,k}]) + b, \quad
        \alpha_{ij,k} = \mathrm{softmax}_{j,k} \big( a \cdot \mathrm{LeakyReLU}(W_l h_j + W_r h_i + W_e u_{ij,k}) \big)

    for each head, over all edges k from neighbour j to centre i and, with ``self_loop``, the atom itself (with
    :math:`u_{ii} = 0`); the bracket where ``edge_values`` is set. The products with node states are taken at the atoms.

    Shapes: h (atoms, hidden), edges.basis (distances, basis) -> (atoms, hidden).
    """

    def __init__(self, config: GATConfig) -> None:
        super().__init__()
        self.config = config
        self.width = config.hidden // config.heads if config.merge == "concat" else config.hidden
        total = config.heads * self.width
        self.source = nn.Linear(config.hidden, total)
        self.target = nn.Linear(config.hidden, total)
        self.edge = nn.Linear(config.basis, total, bias=False)
        self.scores = nn.Parameter(torch.empty(config.heads, self.width))
        nn.init.xavier_uniform_(self.scores)
        self.bias = nn.Parameter(torch.zeros(config.hidden))

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        """(atoms, hidden)"""
        ops, source, target, edge = edges.ops, self.source(h), self.target(h), edges.radial(self.edge)
        values = ops.at_source(source)
        z = values + edge
        scores = self._score(z + ops.at_target(target))
        if self.config.self_loop:
            attention, own = ops.attention_with_own(scores, self._score(source + target))
        else:
            attention, own = ops.attention(scores), None
        messages = self._by_head(z if self.config.edge_values else values) * attention[:, :, None]
        # the attention holds the edges' weights already
        x = ops.add_up(messages)
        if own is not None:
            x = x + self._by_head(source) * own[:, :, None]
        return (x.flatten(1) if self.config.merge == "concat" else x.mean(dim=1)) + self.bias

    def _score(self, z: Tensor) -> Tensor:
        # one product with a matrix of blocks takes less time than a product and a sum per head
        blocks: Tensor = torch.block_diag(*self.scores[:, :, None])
        return F.leaky_relu(z, SLOPE) @ blocks

    def _by_head(self, values: Tensor) -> Tensor:
        return values.view(-1, self.config.heads, self.width)


class GAT(Stack[GATConfig]):
    """Attention over neighbours."""

    Config = GATConfig
    sees: ClassVar[Sight | None] = "distances"

    @staticmethod
    def layer(config: GATConfig) -> nn.Module:
        """Attention."""
        return GraphAttention(config)
