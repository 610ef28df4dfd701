"""NequIP: every irrep turns with the crystal, and the tensor product is the sum that defines it."""

import copy
import pickle
from functools import cache

import pytest
import torch
from e3nn import o3
from equivariance import TURNS, assert_same_states, irregular, representation, turned
from gbench.baselines.nequip.model import (
    Convolution,
    Interaction,
    NequIP,
    NequIPConfig,
    gate,
    irreps_of,
    irreps_of_states,
)
from torch import Tensor
from torch.nn import functional as F

from gbench.batch import Batch
from gbench.dataset import Dataset
from gbench.model import Head

# messages of untrained layers are weak: few "usual" neighbours make them count where layers are many
SETTINGS = {
    "l_max 1": NequIPConfig(hidden=8),
    "pseudovectors": NequIPConfig(hidden=4, layers=6, neighbors=0.1),
    "l_max 2": NequIPConfig(hidden=4, layers=4, l_max=2, neighbors=0.1),
    "no pseudo": NequIPConfig(hidden=4, layers=4, l_max=2, pseudo=False, neighbors=0.1),
    "connected": NequIPConfig(hidden=4, layers=4, neighbors=0.1, residual=True, norm="layer", initial_residual=0.2),
}


@pytest.fixture(scope="module")
def batch(prototypes: Dataset) -> Batch:
    return irregular(prototypes)


def model_of(config: NequIPConfig) -> NequIP:
    torch.manual_seed(0)
    return NequIP(config, Head()).double().eval()


@cache
def model_named(settings: str) -> NequIP:
    return model_of(SETTINGS[settings])


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("settings", SETTINGS)
def test_every_irrep_of_every_layer_turns_with_the_crystal(batch: Batch, settings: str, turn: str) -> None:
    model, matrix = model_named(settings), TURNS[turn]
    with torch.no_grad():
        before, after = model.embeddings(batch), model.embeddings(turned(batch, matrix))
    assert len(model.irreps) == len(before) == model.hops + 1
    for irreps, state, state_after in zip(model.irreps, before, after, strict=True):
        assert state.shape == (batch.n_atoms, irreps.dim)
        assert_same_states(state_after, state @ representation(irreps, matrix).T, irreps)


@pytest.mark.parametrize("turn", TURNS)
def test_messages_turn_before_they_are_mixed(batch: Batch, turn: str) -> None:
    matrix = TURNS[turn]
    before = irreps_of("3x0o + 3x0e + 3x1o + 3x1e + 3x2e")
    convolution = Convolution(before, before, NequIPConfig(hidden=3, l_max=2)).double()
    model = model_of(NequIPConfig(l_max=2))
    h = torch.randn(batch.n_atoms, before.dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    messages = convolution(h, model.edges(batch))
    again = convolution(h @ representation(before, matrix).T, model.edges(turned(batch, matrix)))
    assert_same_states(again, messages @ representation(convolution.irreps, matrix).T, convolution.irreps)


def test_vectors_are_turned_by_the_matrix_itself() -> None:
    """The components of e3nn's vectors are x, y, z: else all tests with its matrices could agree on a wrong turn."""
    for turn in TURNS.values():
        torch.testing.assert_close(representation(irreps_of("1o"), turn), turn, atol=1e-12, rtol=0)
        torch.testing.assert_close(representation(irreps_of("0o"), turn), torch.det(turn).reshape(1, 1))


@pytest.mark.parametrize("l_max", [1, 2])
def test_the_tensor_product_is_a_sum_over_clebsch_gordan_coefficients(batch: Batch, l_max: int) -> None:
    config = NequIPConfig(hidden=3, l_max=l_max, radial=(5,))
    irreps = irreps_of("+".join(f"3x{degree}{parity}" for degree in range(l_max + 1) for parity in "eo"))
    torch.manual_seed(0)
    convolution = Convolution(irreps, irreps, config).double()
    model = model_of(config)
    edges = model.edges(batch)
    h = torch.randn(batch.n_atoms, irreps.dim, dtype=torch.float64)
    weights = convolution.radial(edges.basis)
    x = h[batch.src]
    blocks = {ir: x[:, where].reshape(-1, 3, ir.dim) for where, (_, ir) in zip(irreps.slices(), irreps, strict=True)}
    directions = o3.Irreps.spherical_harmonics(l_max)
    harmonics = {ir: edges.harmonics[:, where] for where, (_, ir) in zip(directions.slices(), directions, strict=True)}
    # in the order of their output, then of their inputs
    paths = [(out, a, y) for out in sorted(blocks) for a in blocks for y in harmonics if out in a * y]
    assert weights.shape == (len(batch.src), 3 * len(paths))
    parts: list[Tensor] = []
    for number, (out, a, y) in enumerate(paths):
        w = weights[:, 3 * number : 3 * number + 3]
        coefficients = o3.wigner_3j(a.l, y.l, out.l, dtype=torch.float64)
        product = torch.einsum("eui,ej,ijk->euk", blocks[a], harmonics[y], coefficients)
        # e3nn gives each component of an output the variance 1
        parts.append((w[:, :, None] * product * out.dim**0.5).flatten(1))
    messages = torch.cat(parts, dim=1)
    expected = torch.zeros((batch.n_atoms, messages.shape[1]), dtype=torch.float64).index_add(0, batch.dst, messages)
    torch.testing.assert_close(convolution(h, edges), expected, atol=1e-10, rtol=0)


def test_products_of_vectors_are_the_scalar_and_the_cross_product(batch: Batch) -> None:
    """e3nn's coefficients against those of school: no table of another library comes in."""
    convolution = Convolution(irreps_of("1x1o"), irreps_of("0e + 1e"), NequIPConfig(hidden=1)).double()
    model = model_of(NequIPConfig())
    edges = model.edges(batch)
    h = torch.randn(batch.n_atoms, 3, dtype=torch.float64)
    w = convolution.radial(edges.basis)
    # component normalisation: a unit vector has length sqrt(3)
    unit = 3**0.5 * batch.vector / batch.distance[:, None]
    scalar = w[:, :1] * (h[batch.src] * unit).sum(1, keepdim=True) / 3**0.5
    cross = w[:, 1:] * torch.linalg.cross(h[batch.src], unit) / 2**0.5
    messages = torch.cat([scalar, cross], dim=1)
    expected = torch.zeros((batch.n_atoms, 4), dtype=torch.float64).index_add(0, batch.dst, messages)
    torch.testing.assert_close(convolution(h, edges), expected, atol=1e-10, rtol=0)


def test_a_layer_is_gate_of_messages_and_self_connection(batch: Batch) -> None:
    model = model_of(NequIPConfig(hidden=4, layers=2))
    first = model.layers[0]
    assert isinstance(first, Interaction)
    h, attributes = model.embedding(batch.numbers), model.attributes(batch.numbers)
    messages = first.convolution(first.first(h), model.edges(batch)) / 30**0.5
    inside = first.last(messages) + first.self_connection(h, attributes)
    scalars, gates, vectors = inside.split([4, 4, 12], dim=1)
    silu_1 = F.silu(torch.randn(10**6, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    unit_variance = silu_1.square().mean().rsqrt()
    gated = (F.silu(gates) * unit_variance)[:, :, None] * vectors.reshape(-1, 4, 3)
    expected = torch.cat([F.silu(scalars) * unit_variance, gated.flatten(1)], dim=1)
    torch.testing.assert_close(model.embeddings(batch)[1], expected, atol=1e-10, rtol=0)


def test_odd_scalars_keep_their_sign() -> None:
    sides = gate(irreps_of("2x0e + 2x0o + 2x1o")).double()
    x = torch.randn(7, sides.irreps_in.dim, dtype=torch.float64)
    flip = representation(sides.irreps_in, TURNS["inversion"])
    expected = sides(x) @ representation(sides.irreps_out, TURNS["inversion"]).T
    torch.testing.assert_close(sides(x @ flip.T), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("layers", "pseudo", "expected"),
    [
        (1, True, ["0e", "0e"]),
        (3, True, ["0e", "0e+1o", "0e+1o", "0e"]),
        (4, True, ["0e", "0e+1o", "0e+1e+1o", "0e+1o", "0e"]),
        (4, False, ["0e", "0e+1o", "0e+1o", "0e+1o", "0e"]),
        (6, True, ["0e", "0e+1o", "0e+1e+1o", "0e+0o+1e+1o", "0e+1e+1o", "0e+1o", "0e"]),
    ],
)
def test_layers_hold_what_can_be_made_and_still_be_heard_of(layers: int, pseudo: bool, expected: list[str]) -> None:
    config = NequIPConfig(hidden=1, layers=layers, pseudo=pseudo)
    found = [{str(ir) for _, ir in irreps} for irreps in irreps_of_states(config)]
    assert found == [set(irreps.split("+")) for irreps in expected]


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_irrep_is_heard_of_in_the_prediction(batch: Batch, settings: str) -> None:
    model = model_named(settings)
    states = model.embeddings(batch)
    for state in states[:-1]:
        state.retain_grad()
    model.readout(states[-1], batch).sum().backward()
    for irreps, state in zip(model.irreps[:-1], states, strict=False):
        assert state.grad is not None
        assert all(state.grad[:, where].abs().max() > 0 for where in irreps.slices())


def test_a_neighbour_at_the_cut_off_has_no_weight(batch: Batch) -> None:
    model = model_of(NequIPConfig(basis_stop=float(batch.distance.max()) * (1 - 1e-12)))
    far = batch.distance >= model.config.basis_stop
    first = model.layers[0]
    assert isinstance(first, Interaction)
    weights = first.convolution.radial(model.edges(batch).basis)
    assert far.any() and (weights[far] == 0).all() and (weights[~far].abs().sum(1) > 0).all()


def test_a_copy_and_a_pickle_predict_the_same(batch: Batch) -> None:
    """e3nn generates code when a model is built: it must come along."""
    model = model_of(NequIPConfig(hidden=4, l_max=2))
    with torch.no_grad():
        expected = model(batch)
        assert torch.equal(copy.deepcopy(model)(batch), expected)
        assert torch.equal(pickle.loads(pickle.dumps(model))(batch), expected)
