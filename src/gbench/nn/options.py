"""Settings that every message-passing network shares, and the one piece of code that each of them is.

What atoms start from, how distances are seen, and how a layer's update is connected to what came before. Readouts stand
in :mod:`gbench.nn.heads`.
"""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from gbench.batch import Batch
from gbench.cards import Options
from gbench.nn.atoms import AtomEncoder
from gbench.nn.basis import BasisKind, BesselBasis, EnvelopeKind, GaussianBasis, envelope
from gbench.nn.norms import NormKind, normalise


class AtomOptions(Options):
    """What atoms start from."""

    identity: bool = True
    """Whether atoms start from a learned embedding of their element."""
    properties: bool = True
    """Whether atoms start from properties of their element."""
    property_names: tuple[str, ...] = ()
    """Which properties, e.g. ``[electronegativity, covalent_radius, group, period]``; all unless chosen."""

    def encoder(self, width: int) -> AtomEncoder:
        """What atoms start from."""
        return AtomEncoder(width, identity=self.identity, with_properties=self.properties, names=self.property_names)


class DistanceOptions(Options):
    """How edges see their length."""

    later: ClassVar[frozenset[str]] = frozenset({"basis_width"})
    basis: Annotated[int, Field(ge=2)] = 41
    """Radial functions from 0 to ``basis_stop``."""
    basis_kind: BasisKind = "gaussian"
    basis_stop: Annotated[float, Field(gt=0)] = 8.0
    """Å"""
    basis_width: Annotated[float, Field(gt=0)] | None = None
    """Å; of Gaussians: their spacing unless given. Wide ones make what is learned smooth in the distance."""
    envelope: EnvelopeKind = "none"
    """Smooth fall of an edge's weight to 0 at ``basis_stop``; set that to the cut-off of the graph."""

    def radial_basis(self) -> GaussianBasis | BesselBasis:
        """What distances are expanded in."""
        if self.basis_kind == "bessel":
            return BesselBasis(self.basis_stop, self.basis)
        return GaussianBasis(self.basis_stop, self.basis, width=self.basis_width)

    def edge_weight(self, batch: Batch) -> Tensor | None:
        """(edges,) the envelope; None where there is none."""
        return envelope(self.envelope, batch.distance, self.basis_stop)


class ConnectionOptions(Options):
    """How the update of a layer becomes the next states."""

    residual: bool = True
    """Whether a layer's input is added to its update."""
    norm: NormKind = "none"
    """Normalisation of the update."""
    initial_residual: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the first node states in every layer's output (GCNII, https://arxiv.org/abs/2007.02133)."""

    @property
    def plain(self) -> bool:
        """Whether the update is all there is of the next states."""
        return not self.residual and self.norm == "none" and not self.initial_residual

    def connect(
        self, update: Tensor, before: Tensor, first: Tensor, norm: nn.Module, copies: Tensor | None = None
    ) -> Tensor:
        r"""The next states, :math:`(1 - \alpha)(\mathrm{norm}(\mathrm{update}) + [h]) + \alpha h_0`.

        With the residual :math:`[h]`, the states ``before``, where it is set, and the ``first`` states
        :math:`h_0`. Items stand for ``copies`` (items,) each.

        Shapes: all (items, width) -> (items, width).
        """
        return self.with_first(self.added(update, before, norm, copies), first)

    def added(self, update: Tensor, before: Tensor, norm: nn.Module, copies: Tensor | None = None) -> Tensor:
        """The normalised update, and the states before where there is a residual."""
        x = normalise(norm, update, copies)
        return before + x if self.residual else x

    def with_first(self, x: Tensor, first: Tensor) -> Tensor:
        """States with their share of the first ones."""
        return torch.lerp(x, first, self.initial_residual) if self.initial_residual else x
