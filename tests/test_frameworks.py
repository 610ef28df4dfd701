"""PyTorch Geometric and DGL run one model: same weights, same outputs, same gradients."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from laws import NETWORKS, assert_holds, batch_of
from torch import Tensor

from gbench.cards import Level
from gbench.dataset import Dataset
from gbench.errors import SpecError
from gbench.laws.networks import frameworks_agree
from gbench.laws.subjects import build
from gbench.model import Head
from gbench.nn.ops import DGLOps, EdgeOps, Framework, PyGOps, edge_ops
from gbench.registry import model_card

BOTH = [name for name in NETWORKS if model_card(name).dgl]


@pytest.mark.parametrize("level", ["graph", "node", "edge"])
@pytest.mark.parametrize("name", BOTH)
def test_one_set_of_weights_gives_the_same_in_both(name: str, level: Level) -> None:
    pytest.importorskip("dgl")
    assert_holds(frameworks_agree(name, level))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "operation", ["sum", "mean", "degree", "attention", "at_source", "at_target", "convolve", "sum_outer"]
)
def test_operations_equal_their_definition(operation: str, weighted: bool, prototypes: Dataset) -> None:
    pytest.importorskip("dgl")
    batch = batch_of("cgcnn", prototypes.crystals.take(range(0, 828, 120)))
    generator = torch.Generator().manual_seed(0)
    weight = torch.rand(len(batch.src), generator=generator, dtype=torch.float64) if weighted else None
    messages = torch.randn(len(batch.src), 3, generator=generator, dtype=torch.float64)
    nodes = torch.randn(batch.n_atoms, 3, generator=generator, dtype=torch.float64)
    w = torch.ones(len(batch.src), dtype=torch.float64) if weight is None else weight
    incoming = [batch.dst == atom for atom in range(batch.n_atoms)]
    expected = {
        "sum": lambda: torch.stack([(w[own, None] * messages[own]).sum(0) for own in incoming]),
        "mean": lambda: torch.stack([(w[own, None] * messages[own]).sum(0) / w[own].sum() for own in incoming]),
        "degree": lambda: torch.stack([w[own].sum() for own in incoming]),
        "attention": lambda: _attention(messages, w, incoming),
        "at_source": lambda: nodes[batch.src],
        "at_target": lambda: nodes[batch.dst],
        "convolve": lambda: torch.stack([(messages[own] * nodes[batch.src[own]]).sum(0) for own in incoming]),
        "sum_outer": lambda: torch.stack([messages[own].T @ nodes[batch.src[own], :2] for own in incoming]),
    }[operation]()
    arguments = {
        "degree": (), "at_source": (nodes,), "at_target": (nodes,), "convolve": (nodes, messages),
        "sum_outer": (nodes[:, :2].contiguous(), messages),
    }.get(operation, (messages,))  # fmt: skip
    for kind in (PyGOps, DGLOps):
        ops: EdgeOps = kind(batch, weight)
        found = getattr(ops, operation)
        if operation != "degree":
            found = found(*arguments)
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("framework", ["pyg", "dgl"])
@pytest.mark.parametrize("weighted", [False, True])
def test_attention_to_itself_equals_that_over_a_loop(framework: Framework, weighted: bool, prototypes: Dataset) -> None:
    if framework == "dgl":
        pytest.importorskip("dgl")
    batch = batch_of("cgcnn", prototypes.crystals.take(range(0, 828, 120)))
    generator = torch.Generator().manual_seed(0)
    weight = torch.rand(len(batch.src), generator=generator, dtype=torch.float64) if weighted else None
    # scores whose exponentials overflow
    scores = 1e4 * torch.randn(len(batch.src), 3, generator=generator, dtype=torch.float64)
    own = 1e4 * torch.randn(batch.n_atoms, 3, generator=generator, dtype=torch.float64)
    found = edge_ops(batch, framework, weight).attention_with_own(scores, own)
    logarithm = torch.zeros(len(batch.src), 1) if weight is None else weight.log()[:, None]
    for atom in range(batch.n_atoms):
        edges = batch.dst == atom
        shares = torch.softmax(torch.cat([(scores + logarithm)[edges], own[[atom]]]), dim=0)
        torch.testing.assert_close(torch.cat([found.edges[edges], found.own[[atom]]]), shares, atol=1e-10, rtol=0)


@pytest.mark.parametrize("framework", ["pyg", "dgl"])
def test_atoms_whose_edges_all_have_weight_0_get_nothing(framework: Framework, prototypes: Dataset) -> None:
    if framework == "dgl":
        pytest.importorskip("dgl")
    batch = batch_of("cgcnn", prototypes.crystals.take([0]))
    messages = torch.full((len(batch.src), 2), 1e3, requires_grad=True)
    ops = edge_ops(batch, framework, torch.zeros(len(batch.src)))
    mean = ops.mean(messages)
    (gradient,) = torch.autograd.grad((1e3 * mean).sum(), messages)
    assert (mean == 0).all() and (gradient == 0).all()
    assert torch.isfinite(ops.attention(messages)).all()
    own = ops.attention_with_own(messages.detach() - 1e3, torch.zeros(batch.n_atoms, 2)).own
    torch.testing.assert_close(own, torch.ones_like(own))


def _attention(scores: Tensor, weight: Tensor, incoming: list[Tensor]) -> Tensor:
    out = torch.zeros_like(scores)
    for own in incoming:
        raised = weight[own, None] * scores[own].exp()
        out[own] = raised / raised.sum(0)
    return out


def test_without_dgl_the_install_command_is_named(prototypes: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dgl", None)
    with pytest.raises(SpecError, match=r"DGL is not installed: pip install 'gbench\[dgl\]'"):
        build("cgcnn", Head(), framework="dgl")(batch_of("cgcnn", prototypes.crystals.take([0])))


def test_a_run_on_dgl_without_dgl_is_one_sentence_and_leaves_no_result(tmp_path: Path) -> None:
    (tmp_path / "dgl.py").write_text("raise ModuleNotFoundError('No module named dgl')")
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-c", "from gbench.cli import main; main()", "run", "--model", "cgcnn", "--framework", "dgl"],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: DGL is not installed: pip install 'gbench[dgl]' (Python 3.11, dgl 1.1.3)\n"
    assert not list(tmp_path.rglob("result.json"))
