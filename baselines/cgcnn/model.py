"""Crystal graph convolutional neural network.

Source: Xie and Grossman 2018, https://doi.org/10.1103/PhysRevLett.120.145301.
"""

from typing import ClassVar

from torch import Tensor, nn

from gbench.nn.gates import gated_product_
from gbench.nn.norms import NormKind, norm_layer, normalise
from gbench.nn.stack import Activation, Edges, Stack, StackConfig
from gbench.quotient import Sight


class CGCNNConfig(StackConfig):
    """Settings of :class:`CGCNN`."""

    norm: NormKind = "batch"
    """Batch normalisation of the gates and of the update, as in the authors' code; the paper has none."""
    activation: Activation = "softplus"


class GatedConvolution(nn.Module):
    r"""The sum of one convolution: equation 5 of the paper.

    .. math::
        \sum_{j,k} \sigma(z W_f + b_f) \odot g(z W_s + b_s), \quad z = v_i \oplus v_j \oplus u_{ij,k}

    with softplus :math:`g`. The product :math:`z W` is :math:`v_i W_1 + v_j W_2 + u W_3`: the first two are taken once
    per atom, before the gather, instead of once per edge.

    Shapes: h (atoms, hidden), edges.basis (distances, basis) -> (atoms, hidden).
    """

    def __init__(self, hidden: int, basis: int, norm: NormKind) -> None:
        super().__init__()
        self.centre = nn.Linear(hidden, 2 * hidden)
        self.neighbor = nn.Linear(hidden, 2 * hidden, bias=False)
        self.edge = nn.Linear(basis, 2 * hidden, bias=False)
        self.norm_gates = norm_layer("batch" if norm == "batch" else "none", 2 * hidden)

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        """(atoms, hidden)"""
        z = edges.ops.at_target(self.centre(h))
        z += edges.ops.at_source(self.neighbor(h))
        z += edges.radial(self.edge)
        copies = edges.ops.batch.copies
        z = normalise(self.norm_gates, z, copies and copies.all_edges)
        return edges.ops.sum(gated_product_(z))


class CGCNN(Stack[CGCNNConfig]):
    """Gated graph convolutions, each inside a residual and the softplus that the authors' code puts around it."""

    Config = CGCNNConfig
    sees: ClassVar[Sight | None] = "distances"

    @staticmethod
    def layer(config: CGCNNConfig) -> nn.Module:
        """A convolution."""
        return GatedConvolution(config.hidden, config.basis, config.norm)
