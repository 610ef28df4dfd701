"""PaiNN's blocks are the equations of its paper, written here atom by atom, and its vectors turn with the crystal."""

import pytest
import torch
from equivariance import TOLERANCE, TURNS, assert_same_states, irregular, representation, turned
from gbench.baselines.nequip.model import irreps_of
from gbench.baselines.painn.model import Edges, Message, PaiNN, PaiNNConfig, States, Update
from torch import Tensor

from gbench.batch import Batch
from gbench.dataset import Dataset
from gbench.model import Head
from gbench.nn.basis import envelope

HIDDEN, BASIS = 6, 5


@pytest.fixture(scope="module")
def batch(prototypes: Dataset) -> Batch:
    return irregular(prototypes)


@pytest.fixture(scope="module")
def states(batch: Batch) -> States:
    generator = torch.Generator().manual_seed(0)
    scalars = torch.randn(batch.n_atoms, HIDDEN, generator=generator, dtype=torch.float64)
    return States(scalars, torch.randn(batch.n_atoms, 3, HIDDEN, generator=generator, dtype=torch.float64))


@pytest.fixture(scope="module")
def edges(batch: Batch) -> Edges:
    basis = torch.randn(len(batch.src), BASIS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weight = envelope("cosine", batch.distance, 5.0)
    return Edges(basis, weight, batch.vector / batch.distance[:, None], batch)


def model_of(**settings: object) -> PaiNN:
    torch.manual_seed(0)
    return PaiNN(PaiNNConfig.model_validate({"hidden": 8, **settings}), Head()).double().eval()


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize(
    "settings", [{}, {"norm": "layer"}, {"residual": False, "norm": "batch"}, {"initial_residual": 0.2}], ids=str
)
def test_scalars_and_vectors_of_every_layer_turn_with_the_crystal(
    batch: Batch, settings: dict[str, object], turn: str
) -> None:
    model, matrix = model_of(**settings), TURNS[turn]
    with torch.no_grad():
        before, after = model.embeddings(batch), model.embeddings(turned(batch, matrix))
    for layer, (state, state_after) in enumerate(zip(before, after, strict=True)):
        # vectors are 0 before the first layer
        irreps, width = (irreps_of("8x0e + 8x1o"), 32) if layer else (irreps_of("8x0e"), 8)
        assert (state[:, width:] == 0).all() and (state_after[:, width:] == 0).all()
        expected = state[:, :width] @ representation(irreps, matrix).T
        assert_same_states(state_after[:, :width], expected, irreps)


@pytest.mark.parametrize("turn", TURNS)
def test_each_block_turns_whatever_vectors_it_is_given(states: States, edges: Edges, turn: str) -> None:
    matrix = TURNS[turn]
    torch.manual_seed(0)
    message, update = Message(HIDDEN, BASIS).double(), Update(HIDDEN).double()
    turned_states = States(states.scalars, matrix @ states.vectors)
    turned_edges = edges._replace(direction=edges.direction @ matrix.T)
    for out, again in (
        (message(states, edges), message(turned_states, turned_edges)),
        (update(states), update(turned_states)),
    ):
        torch.testing.assert_close(again.scalars, out.scalars, atol=TOLERANCE, rtol=0)
        torch.testing.assert_close(again.vectors, matrix @ out.vectors, atol=TOLERANCE, rtol=0)


def test_the_message_block_follows_the_paper(batch: Batch, states: States, edges: Edges) -> None:
    torch.manual_seed(0)
    block = Message(HIDDEN, BASIS).double()
    s, v = states.scalars.clone(), states.vectors.clone()
    assert edges.weight is not None
    for k, (j, i) in enumerate(zip(batch.src.tolist(), batch.dst.tolist(), strict=True)):
        phi_s, phi_vv, phi_vs = block.phi(states.scalars[j]).split(HIDDEN)
        w_s, w_vv, w_vs = (edges.weight[k] * block.filter(edges.basis[k])).split(HIDDEN)
        s[i] += phi_s * w_s
        for axis in range(3):
            v[i, axis] += states.vectors[j, axis] * phi_vv * w_vv + phi_vs * w_vs * edges.direction[k, axis]
    out = block(states, edges)
    torch.testing.assert_close(out.scalars, s, atol=1e-10, rtol=0)
    torch.testing.assert_close(out.vectors, v, atol=1e-10, rtol=0)


def test_the_update_block_follows_the_paper(states: States) -> None:
    torch.manual_seed(0)
    block = Update(HIDDEN).double()
    s, v = states.scalars.clone(), states.vectors.clone()
    for i in range(len(s)):
        u_v = torch.stack([block.u.weight @ states.vectors[i, axis] for axis in range(3)])
        v_v = torch.stack([block.v.weight @ states.vectors[i, axis] for axis in range(3)])
        a: Tensor = block.a(torch.cat([states.scalars[i], torch.linalg.vector_norm(v_v, dim=0)]))
        a_ss, a_sv, a_vv = a.split(HIDDEN)
        s[i] += a_ss + a_sv * (u_v * v_v).sum(0)
        v[i] += a_vv * u_v
    out = block(states)
    # the length of a vector is smoothed at 0
    torch.testing.assert_close(out.scalars, s, atol=1e-8, rtol=0)
    torch.testing.assert_close(out.vectors, v, atol=1e-8, rtol=0)


def test_blocks_follow_each_other_and_the_scalars_are_read_out(batch: Batch) -> None:
    model = model_of(layers=2)
    h = model.embedding(batch.numbers)
    states = States(h, torch.zeros((batch.n_atoms, 3, 8), dtype=torch.float64))
    edges = Edges(
        model.basis(batch.distance), envelope("cosine", batch.distance, 5.0),
        batch.vector / batch.distance[:, None], batch,
    )  # fmt: skip
    for message, update in zip(model.messages, model.updates, strict=True):
        states = update(message(states, edges))
    torch.testing.assert_close(model(batch), model.readout(states.scalars, batch), atol=1e-10, rtol=0)
    assert torch.equal(model.embeddings(batch)[-1][:, :8], states.scalars)


def test_without_residual_a_layer_hands_on_its_update_alone(batch: Batch) -> None:
    usual, bare = model_of(layers=1), model_of(layers=1, residual=False)
    before, after = usual.embeddings(batch)
    torch.testing.assert_close(
        bare.embeddings(batch)[1], torch.cat([after[:, :8] - before[:, :8], after[:, 8:]], dim=1)
    )


def test_a_length_has_a_gradient_where_the_vector_vanishes() -> None:
    block = Update(HIDDEN).double()
    vectors = torch.zeros((2, 3, HIDDEN), dtype=torch.float64, requires_grad=True)
    block(States(torch.ones((2, HIDDEN), dtype=torch.float64), vectors)).scalars.sum().backward()
    assert vectors.grad is not None and (vectors.grad == 0).all()


def test_a_neighbour_at_the_cut_off_tells_nothing(batch: Batch) -> None:
    """Predictions change smoothly when an atom crosses the cut-off."""
    shell = float(batch.distance.max())
    near, beyond = (model_of(basis_stop=shell + step)(batch) for step in (-1e-7, 1e-7))
    torch.testing.assert_close(near, beyond, atol=1e-6, rtol=0)
