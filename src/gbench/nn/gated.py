"""The edge-gated graph convolution, on a crystal's graph or on its line graph."""

from typing import NamedTuple

from torch import Tensor, nn

from gbench.nn.norms import NormKind, norm_layer, normalise
from gbench.nn.segments import gather, segment_sum

EPSILON = 1e-6
"""Of equation 3; the authors' code has the same."""


class Links(NamedTuple):
    """Directed links between items: edges between atoms, or angles between edges."""

    source: Tensor
    """(links,) item a message comes from."""
    target: Tensor
    """(links,) item it goes to."""
    size: int
    """Items."""
    weight: Tensor | None = None
    """(links,) share of each message that counts, times the links into one item that it stands for."""
    copies: Tensor | None = None
    """(links,) how many links each stands for."""
    item_copies: Tensor | None = None
    """(size,) how many items each stands for."""


class EdgeGatedConvolution(nn.Module):
    r"""Items and their links, updated together: equations 2-4 of ALIGNN.

    .. math::
        e_{ij}' &= e_{ij} + g(\mathrm{norm}(A h_i + B h_j + C e_{ij})) \\
        \eta_{ij} &= \frac{\sigma(e_{ij}')}{\sum_k \sigma(e_{ik}') + \epsilon} \\
        h_i' &= h_i + g(\mathrm{norm}(W_{src} h_i + \sum_j \eta_{ij} \odot W_{dst} h_j))

    for messages from j to i. All products with node states are taken once per item, before the gather, and the division
    once per item, after the sum. Link weights multiply :math:`\sigma(e_{ij}')` in both sums.

    The gates are those of the updated edges, as the equations say; the authors' code takes them before norm, activation
    and residual. They add up to one: link states weigh the messages of an item against each other, and where these are
    all alike, or there is only one, link states change nothing. Without ``residual``, neither :math:`h_i` nor
    :math:`e_{ij}` is added to its update.

    Shapes: h (items, width), e (links, width) -> the same.

    Source: https://arxiv.org/abs/2106.01829; the convolution is that of https://arxiv.org/abs/1711.07553.
    """

    def __init__(self, width: int, norm: NormKind, activation: type[nn.Module], *, residual: bool = True) -> None:
        super().__init__()
        self.residual = residual
        self.at_target = nn.Linear(width, width)
        self.at_source = nn.Linear(width, width, bias=False)
        self.at_link = nn.Linear(width, width, bias=False)
        self.own = nn.Linear(width, width)
        self.neighbor = nn.Linear(width, width, bias=False)
        self.norm_links, self.norm_items = norm_layer(norm, width), norm_layer(norm, width)
        self.activation = activation()

    def forward(self, h: Tensor, e: Tensor, links: Links) -> tuple[Tensor, Tensor]:
        """Updated items (items, width) and links (links, width)."""
        z = self.at_link(e)
        z += gather(self.at_target(h), links.target)
        z += gather(self.at_source(h), links.source)
        links_update = self.activation(normalise(self.norm_links, z, links.copies))
        e = e + links_update if self.residual else links_update
        gate = e.sigmoid()
        if links.weight is not None:
            gate = gate * links.weight[:, None]
        messages = segment_sum(gate * gather(self.neighbor(h), links.source), links.target, links.size)
        total = segment_sum(gate, links.target, links.size) + EPSILON
        update = normalise(self.norm_items, self.own(h) + messages / total, links.item_copies)
        update = self.activation(update)
        return h + update if self.residual else update, e
