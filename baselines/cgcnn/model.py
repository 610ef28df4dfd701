"""Crystal graph convolutional neural network.

Source: Xie and Grossman 2018, https://doi.org/10.1103/PhysRevLett.120.145301.
"""

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from gbench.batch import Batch
from gbench.cards import Frozen
from gbench.model import Head, Model
from gbench.nn.atoms import AtomEncoder
from gbench.nn.basis import GaussianBasis
from gbench.nn.gates import gated_product_
from gbench.nn.heads import Readout
from gbench.nn.segments import gather, segment_sum

Size = Annotated[int, Field(ge=1)]


class CGCNNConfig(Frozen):
    """Settings of :class:`CGCNN`."""

    hidden: Size = 64
    layers: Size = 3
    basis: Annotated[int, Field(ge=2)] = 41
    """Gaussians from 0 to ``basis_stop``."""
    basis_stop: Annotated[float, Field(gt=0)] = 8.0
    """Å"""
    properties: bool = True
    """Whether atoms start from element properties besides a learned embedding."""
    head: Size = 128
    """Width of the layer between readout and output."""
    norm: Literal["batch", "none"] = "batch"
    """Batch normalisation of the gates and of the update, as in the authors' code; the paper has none."""


class GatedConvolution(nn.Module):
    r"""One convolution: equation 5 of the paper inside the activation that the authors' code puts around it.

    .. math::
        v_i' = g(v_i + \sum_{j,k} \sigma(z W_f + b_f) \odot g(z W_s + b_s)), \quad z = v_i \oplus v_j \oplus u_{ij,k}

    with softplus :math:`g`. The product :math:`z W` is :math:`v_i W_1 + v_j W_2 + u W_3`: the first two are taken once
    per atom, before the gather, instead of once per edge.

    Shapes: h (atoms, hidden), edges (edges, basis) -> (atoms, hidden).
    """

    def __init__(self, hidden: int, basis: int, norm: str) -> None:
        super().__init__()
        self.centre = nn.Linear(hidden, 2 * hidden)
        self.neighbor = nn.Linear(hidden, 2 * hidden, bias=False)
        self.edge = nn.Linear(basis, 2 * hidden, bias=False)
        batch_norm = norm == "batch"
        self.norm_gates: nn.Module = nn.BatchNorm1d(2 * hidden) if batch_norm else nn.Identity()
        self.norm_update: nn.Module = nn.BatchNorm1d(hidden) if batch_norm else nn.Identity()

    def forward(self, h: Tensor, edges: Tensor, batch: Batch) -> Tensor:
        """(atoms, hidden)"""
        z = gather(self.centre(h), batch.dst)
        z += gather(self.neighbor(h), batch.src)
        # a contiguous transpose makes autograd take the weight's gradient as edges^T @ grad, quicker than its transpose
        z.addmm_(edges, self.edge.weight.T.contiguous())
        update = segment_sum(gated_product_(self.norm_gates(z)), batch.dst, batch.n_atoms)
        return F.softplus(h + self.norm_update(update))


class CGCNN(Model):
    """Gated graph convolutions, mean readout."""

    Config = CGCNNConfig

    def __init__(self, config: CGCNNConfig, head: Head) -> None:
        super().__init__(config, head)
        self.config = config
        self.embedding = AtomEncoder(config.hidden, with_properties=config.properties)
        self.basis = GaussianBasis(config.basis_stop, config.basis)
        self.convolutions = nn.ModuleList(
            GatedConvolution(config.hidden, config.basis, config.norm) for _ in range(config.layers)
        )
        self.readout = Readout([config.hidden, config.head], nn.Softplus, head)

    @property
    def hops(self) -> int:
        """Convolutions."""
        return self.config.layers

    def embeddings(self, batch: Batch) -> list[Tensor]:
        """Element embedding, then the state after each convolution, (atoms, hidden)."""
        edges = self.basis(batch.distance)
        states = [self.embedding(batch.numbers)]
        for convolution in self.convolutions:
            states.append(convolution(states[-1], edges, batch))
        return states

    def forward(self, batch: Batch) -> Tensor:
        """(items, outputs)"""
        out: Tensor = self.readout(self.embeddings(batch)[-1], batch)
        return out
