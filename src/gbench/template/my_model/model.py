"""My model, in a sentence.

Source: authors and year, https://doi.org/...
"""

from torch import Tensor, nn

from gbench.nn.stack import Edges, Stack, StackConfig


class MyModelConfig(StackConfig):
    """Settings of :class:`MyModel`; width, layers, residual, norm, readout, basis and more are those of every stack."""

    bias: bool = True
    """An example of a setting of its own: whether what neighbours send has a bias."""


class Messages(nn.Module):
    r"""The update of an atom: the mean of :math:`(W h_j + b) \odot V u(d_{ij})` over its neighbours.

    Shapes: h (atoms, hidden), edges.basis (distances, basis) -> (atoms, hidden).
    """

    def __init__(self, hidden: int, basis: int, *, bias: bool) -> None:
        super().__init__()
        self.neighbor = nn.Linear(hidden, hidden, bias=bias)
        self.filter = nn.Linear(basis, hidden, bias=False)

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        """(atoms, hidden)"""
        # multiplied once per atom, then gathered: there are many more edges than atoms
        return edges.ops.mean(edges.ops.at_source(self.neighbor(h)) * edges.radial(self.filter))


class MyModel(Stack[MyModelConfig]):
    """What it is, and what it is good for."""

    Config = MyModelConfig

    @staticmethod
    def layer(config: MyModelConfig) -> nn.Module:
        """A layer."""
        return Messages(config.hidden, config.basis, bias=config.bias)
