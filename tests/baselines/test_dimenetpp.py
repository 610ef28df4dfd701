"""DimeNet++'s bases are those of scipy and, but for a factor, of PyG; its blocks are PyG's."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from gbench.baselines.dimenetpp.model import (
    DimeNetPP,
    DimeNetPPConfig,
    EmbeddingBlock,
    Geometry,
    InteractionBlock,
    OutputBlock,
    ResidualLayer,
)
from scipy.special import eval_legendre, sph_harm_y, spherical_jn
from structures import one
from torch import Tensor, nn
from torch_geometric.nn.models import dimenet as peer

from gbench.batch import Batch, GraphTensors
from gbench.dataset import Dataset
from gbench.edgepairs import EdgePairs
from gbench.graphs import build_graphs
from gbench.model import Head
from gbench.nn.angles import legendre
from gbench.nn.basis import BesselBasis, envelope
from gbench.nn.spherical import SphericalBasis, bessel_roots
from gbench.spec import GraphSpec
from gbench.triplets import line_graph

STOP, ANGULAR, RADIAL = 4.5, 7, 6
CONFIG = DimeNetPPConfig(hidden=12, interaction=5, basis_embedding=4, output=10, basis_stop=STOP)


@pytest.fixture
def basis() -> Iterator[SphericalBasis]:
    """In float64 from the start: coefficients that were float32 once are good to seven digits only."""
    torch.set_default_dtype(torch.float64)
    try:
        yield SphericalBasis(STOP, ANGULAR, RADIAL)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def batch(prototypes: Dataset) -> Batch:
    tensors = GraphTensors(prototypes.graphs(GraphSpec(cutoff=STOP)), dtype=torch.float64)
    return tensors.batch(torch.tensor([1, 300, 700]))


@pytest.fixture(scope="module")
def corners(batch: Batch) -> EdgePairs:
    return line_graph(batch)


def randoms(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class TestBases:
    def test_roots_are_all_the_first_ones(self) -> None:
        roots = bessel_roots(ANGULAR, RADIAL)
        order = np.arange(ANGULAR)[:, None]
        assert np.abs(spherical_jn(order, roots)).max() < 1e-13
        # each lies below the next of its order, and roots of adjacent orders take turns: none was left out
        assert (roots[:, 1:] > roots[:, :-1]).all()
        assert (roots[1:] > roots[:-1]).all()
        assert (roots[1:, :-1] < roots[:-1, 1:]).all()
        # Abramowitz and Stegun, table 10.6
        np.testing.assert_allclose(roots[[1, 2, 3], 0], [4.493409, 5.763459, 6.987932], atol=1e-6)

    def test_radial_factors_are_scipys(self, basis: SphericalBasis) -> None:
        distance = torch.cat([torch.logspace(-6, 0, 50), torch.linspace(1.0, STOP - 1e-9, 400)])
        roots, order = bessel_roots(ANGULAR, RADIAL), np.arange(ANGULAR)[:, None]
        norm = np.sqrt(2 / (STOP**3 * spherical_jn(order + 1, roots) ** 2))
        expected = norm * spherical_jn(order, roots / STOP * distance.numpy()[:, None, None])
        np.testing.assert_allclose(basis.of_distance(distance).numpy(), expected, atol=1e-12)

    def test_radial_factors_vanish_from_the_cut_off_on(self, basis: SphericalBasis) -> None:
        values = basis.of_distance(torch.tensor([STOP - 1e-12, STOP, STOP + 1.0]))
        assert values[0].abs().max() < 1e-10
        assert (values[1:] == 0).all()

    def test_radial_factors_have_the_slopes_of_scipy(self, basis: SphericalBasis) -> None:
        distance = torch.linspace(0.1, STOP - 0.1, 60).requires_grad_()
        (slope,) = torch.autograd.grad(basis.of_distance(distance)[:, 3, 2].sum(), distance)
        root = bessel_roots(ANGULAR, RADIAL)[3, 2]
        norm = np.sqrt(2 / (STOP**3 * spherical_jn(4, root) ** 2))
        x = distance.detach().numpy()
        np.testing.assert_allclose(slope, norm * root / STOP * spherical_jn(3, root / STOP * x, True), atol=1e-11)

    def test_the_basis_is_orthonormal_in_the_sphere(self, basis: SphericalBasis) -> None:
        distance, weights = (torch.as_tensor(x) for x in np.polynomial.legendre.leggauss(80))
        cosine, angle_weights = (torch.as_tensor(x) for x in np.polynomial.legendre.leggauss(20))
        distance, weights = (distance + 1) * STOP / 2, weights * STOP / 2
        d, a = torch.meshgrid(distance, cosine, indexing="ij")
        values = basis(basis.of_distance(d.flatten()), a.flatten())
        volume = 2 * np.pi * (weights * distance**2)[:, None] * angle_weights
        overlap = values.T @ (values * volume.flatten()[:, None])
        torch.testing.assert_close(overlap, torch.eye(ANGULAR * RADIAL), atol=1e-11, rtol=0)

    @pytest.mark.parametrize("size", [1, 2, 9])
    def test_legendre_polynomials_are_scipys(self, size: int) -> None:
        cosine = torch.linspace(-1, 1, 101, dtype=torch.float64)
        expected = eval_legendre(np.arange(size), cosine.numpy()[:, None])
        np.testing.assert_allclose(legendre(cosine, size), expected, atol=1e-13)

    def test_angular_factors_are_spherical_harmonics(self, basis: SphericalBasis) -> None:
        angle = torch.linspace(0, np.pi, 50)
        expected = sph_harm_y(np.arange(ANGULAR), 0, angle.numpy()[:, None], 0).real
        np.testing.assert_allclose(basis.of_angle(angle.cos()), expected, atol=1e-13)

    def test_straight_angles_have_finite_slopes(self, basis: SphericalBasis) -> None:
        cosine = torch.tensor([-1.0, 1.0]).requires_grad_()
        basis.of_angle(cosine).sum().backward()
        assert cosine.grad is not None and torch.isfinite(cosine.grad).all()

    def test_both_bases_under_the_envelope_are_pygs_but_for_a_factor(
        self, basis: SphericalBasis, batch: Batch, corners: EdgePairs
    ) -> None:
        """PyG's distances are in units of the cut-off, and its spherical basis is divided by the distance besides."""
        distance, angle = batch.distance, corners.cosine.clamp(-1, 1).acos()
        weight = envelope("polynomial", distance, STOP)
        assert weight is not None
        theirs = peer.BesselBasisLayer(RADIAL, STOP).double()(distance)
        ours = BesselBasis(STOP, RADIAL)(distance) * weight[:, None]
        torch.testing.assert_close(ours * STOP * np.sqrt(STOP / 2), theirs, atol=1e-10, rtol=1e-10)
        layer = peer.SphericalBasisLayer(ANGULAR, RADIAL, STOP)
        theirs = layer(distance, angle, corners.first)
        radial = basis.of_distance(distance) * (weight * STOP**1.5 * STOP / distance)[:, None, None]
        ours = basis(radial[corners.first], corners.cosine)
        # PyG's roots are float32; to scipy's values ours are equal within 1e-12
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def copy(ours: nn.Module, theirs: nn.Module, names: dict[str, str]) -> None:
    """Our weights in their layers."""
    with torch.no_grad():
        for name, other in names.items():
            source, target = ours.get_submodule(name), theirs.get_submodule(other)
            target.load_state_dict(source.state_dict())


class TestBlocks:
    def test_an_interaction_block_is_pygs(self, batch: Batch, corners: EdgePairs) -> None:
        torch.manual_seed(0)
        ours = InteractionBlock(CONFIG).double()
        theirs = peer.InteractionPPBlock(
            CONFIG.hidden, CONFIG.interaction, CONFIG.basis_embedding, CONFIG.angular, CONFIG.basis,
            CONFIG.before_skip, CONFIG.after_skip, nn.SiLU(),
        ).double()  # fmt: skip
        names = {
            "radial.0": "lin_rbf1", "radial.1": "lin_rbf2", "spherical.0": "lin_sbf1", "spherical.1": "lin_sbf2",
            "incoming": "lin_kj", "own": "lin_ji", "down": "lin_down", "up": "lin_up", "dense": "lin",
        }  # fmt: skip
        for part, other in (("before_skip", "layers_before_skip"), ("after_skip", "layers_after_skip")):
            for number in range(len(ours.get_submodule(part))):  # type: ignore[arg-type]
                names |= {f"{part}.{number}.mlp.{2 * k}": f"{other}.{number}.lin{k + 1}" for k in range(2)}
        copy(ours, theirs, names)
        m = randoms(len(batch.src), CONFIG.hidden)
        radial, spherical = randoms(len(m), 6, seed=1), randoms(len(corners.first), 42, seed=2)
        expected = theirs(m, radial, spherical, corners.first, corners.second)
        out = ours(m, Geometry(radial, spherical, corners.first, corners.second))
        torch.testing.assert_close(out, expected, atol=1e-10, rtol=1e-10)
        # every weight was compared
        assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())

    def test_an_output_block_is_pygs_before_its_last_product(self, batch: Batch) -> None:
        torch.manual_seed(0)
        ours = OutputBlock(CONFIG).double()
        theirs = peer.OutputPPBlock(CONFIG.basis, CONFIG.hidden, CONFIG.output, CONFIG.output, 3, nn.SiLU()).double()
        copy(ours, theirs, {"radial": "lin_rbf", "up": "lin_up", **{f"dense.{2 * k}": f"lins.{k}" for k in range(3)}})
        nn.init.eye_(theirs.lin.weight)
        m, radial = randoms(len(batch.src), CONFIG.hidden), randoms(len(batch.src), 6, seed=1)
        expected = theirs(m, radial, batch.dst, batch.n_atoms)
        torch.testing.assert_close(ours(m, radial, batch), expected, atol=1e-10, rtol=1e-10)

    def test_first_messages_are_pygs_whatever_the_order_of_multiplication(self, batch: Batch) -> None:
        torch.manual_seed(0)
        ours = EmbeddingBlock(CONFIG).double()
        theirs = peer.EmbeddingBlock(CONFIG.basis, CONFIG.hidden, nn.SiLU()).double()
        copy(ours, theirs, {"distance": "lin_rbf"})
        h, radial = randoms(batch.n_atoms, CONFIG.hidden), randoms(len(batch.src), 6, seed=1)
        with torch.no_grad():
            theirs.lin.weight.copy_(torch.cat([ours.receiver.weight, ours.sender.weight, ours.edge.weight], dim=1))
            theirs.lin.bias.copy_(ours.receiver.bias)
            theirs.emb.weight[: batch.n_atoms] = h
        expected = theirs(torch.arange(batch.n_atoms), radial, batch.dst, batch.src)
        torch.testing.assert_close(ours(h, radial, batch), expected, atol=1e-10, rtol=1e-10)

    def test_a_residual_layer_has_two_activations(self) -> None:
        layer = ResidualLayer(4).double()
        x, silu = randoms(3, 4), nn.SiLU()
        expected = x + silu(layer.mlp[2](silu(layer.mlp[0](x))))
        torch.testing.assert_close(layer(x), expected, atol=1e-12, rtol=0)


class TestNetwork:
    def test_edges_beyond_the_envelope_change_nothing(self, prototypes: Dataset) -> None:
        crystals = prototypes.crystals.take([0, 300, 600])
        torch.manual_seed(0)
        model = DimeNetPP(CONFIG, Head()).double()
        inside, beyond = (
            model(GraphTensors(build_graphs(crystals, GraphSpec(cutoff=cutoff)), torch.float64).batch(torch.arange(3)))
            for cutoff in (STOP, STOP + 1)
        )
        torch.testing.assert_close(inside, beyond, atol=1e-10, rtol=0)

    def test_an_atom_without_neighbours_keeps_its_element(self) -> None:
        model = DimeNetPP(CONFIG, Head()).double()
        out = []
        for number in (2, 10):
            lone = one([number], [[0, 0, 0]], None)
            tensors = GraphTensors(build_graphs(lone, GraphSpec(on_short="pad")), dtype=torch.float64)
            out.append(model(tensors.batch(torch.tensor([0]))))
        assert torch.isfinite(out[0]).all()
        assert (out[0] - out[1]).abs() > 1e-6

    def test_weights_start_orthogonal_with_glorots_variance(self) -> None:
        torch.manual_seed(0)
        weight = DimeNetPP(DimeNetPPConfig(), Head()).interactions[0].get_parameter("down.weight").detach()
        gram = weight @ weight.T
        torch.testing.assert_close(gram, gram[0, 0] * torch.eye(len(weight)), atol=1e-5, rtol=0)
        assert float(weight.square().mean()) == pytest.approx(2 / sum(weight.shape), rel=1e-5)
