"""Laws of networks. Each is held over a model given by its name or folder, with the settings of its card."""

import math
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gbench.batch import Batch, GraphTensors, import_dgl
from gbench.cards import Level, Symmetry
from gbench.crystals import Crystals
from gbench.errors import SpecError
from gbench.graphs import build_graphs, without_edges
from gbench.laws.changes import WAYS
from gbench.laws.finding import TOLERANCE, Finding
from gbench.laws.subjects import (
    batch_of,
    build,
    claims,
    config_of,
    crystals_with_pairs,
    graphs_of,
    network,
    predict,
    prototypes,
    shaken_prototypes,
)
from gbench.model import Head, Model
from gbench.registry import model_card, model_class
from gbench.spec import GraphSpec, Training
from gbench.splitting import Split
from gbench.task import Task
from gbench.train import fit
from gbench.train import predict as predict_fitted

FRAMEWORKS_AGREE = 1e-9
OVERFIT_SHARE = 0.05
"""Of the deviation of ten labels: the error that 250 steps on them must leave at most."""


def keeps_what_it_claims(model: str, symmetry: Symmetry, crystals: Crystals | None = None) -> Finding:
    """A symmetry that the card claims leaves predictions alone; one that it does not claim changes them."""
    shown = shaken_prototypes() if crystals is None else crystals
    level = _level(model, "graph")
    if level != "graph":
        return _keeps_sums(model, symmetry, shown, level)
    before = predict(model, shown)
    change = max(_largest(predict(model, rewritten(shown)) - before) for rewritten in WAYS[symmetry])
    return _claimed(model, symmetry, change)


def _keeps_sums(model: str, symmetry: Symmetry, shown: Crystals, level: Level) -> Finding:
    """Of a model without graph head: the mean prediction over the atoms of each crystal, which no change reorders."""
    if level == "edge":
        return Finding(law=symmetry, holds=None, note="checked of graph and node heads only")

    def means(crystals: Crystals) -> Tensor:
        parts = predict(model, crystals, level)[:, 0].split(crystals.n_atoms.tolist())
        return torch.stack([part.mean() for part in parts])

    before = means(shown)
    change = max(_largest(means(rewritten(shown)) - before) for rewritten in WAYS[symmetry])
    return _claimed(model, symmetry, change)


def _claimed(model: str, symmetry: Symmetry, change: float) -> Finding:
    kept, claimed = change < TOLERANCE, claims(model, symmetry)
    note = {
        (True, True): "claimed",
        (False, False): "not claimed, and not kept",
        (True, False): "not claimed, but kept: add it to the card",
        (False, True): "claimed, but not kept",
    }[kept, claimed]
    return Finding(law=symmetry, holds=kept == claimed, largest=change, limit=TOLERANCE, note=note)


def predictions_differ(model: str) -> Finding:
    """Crystals that differ are told apart."""
    spread = float(predict(model, _shown(model), _level(model, "graph")).std())
    return Finding(law="predictions differ between crystals", holds=spread > 1e-4, note=f"deviation {spread:.1e}")


def batch_equals_singles(model: str, level: Level) -> Finding:
    """What is predicted of a crystal does not depend on what shares its batch, and is one number per item."""
    law = f"a batch equals its members, {level} level"
    crystals = crystals_with_pairs(prototypes())
    together = predict(model, crystals, level)
    alone = torch.cat([predict(model, crystals.take([row]), level) for row in range(len(crystals))])
    items = {"graph": len(crystals), "node": len(crystals.numbers), "edge": len(crystals.pairs)}[level]
    if together.shape != (items, 1) or alone.shape != (items, 1):
        return Finding(law=law, holds=False, note=f"outputs of shape {tuple(together.shape)}, expected ({items}, 1)")
    change = _largest(together - alone)
    return Finding(law=law, holds=change < TOLERANCE, largest=change, limit=TOLERANCE)


def merging_changes_nothing(model: str, level: Level, **settings: object) -> Finding:
    """Atoms that look alike held once: the same predictions, in training and after, and the same gradients."""
    law = f"merging what looks alike changes nothing, {level} level"
    graphs = graphs_of(model, crystals_with_pairs(prototypes()))
    rows, sees = torch.arange(len(graphs.crystals)), build(model, Head(level)).sees
    batches = [GraphTensors(graphs, torch.float64, merge=merge).batch(rows) for merge in (None, sees)]
    change = 0.0
    for training in (True, False):
        plain, merged = (build(model, Head(level), **settings).train(training) for _ in batches)
        outputs = [made(batch) for made, batch in zip((plain, merged), batches, strict=True)]
        change = max(change, _difference(*outputs))
        if training:
            for out in outputs:
                out.square().sum().backward()
            change = max(change, _gradients_differ(plain, merged))
        states = zip(plain.state_dict().values(), merged.state_dict().values(), strict=True)
        change = max(change, *(_largest(ours.double() - theirs.double()) for ours, theirs in states))
    kept = f"{len(batches[1].numbers)} of {len(batches[0].numbers)} atoms kept"
    return Finding(law=law, holds=change < TOLERANCE, largest=change, limit=TOLERANCE, note=kept)


def undirected_pairs_have_one_value(model: str) -> Finding:
    """(i, j) and (j, i) get the same under an undirected head, and not under a directed one."""
    batch = batch_of(model, crystals_with_pairs(prototypes()))
    turned = type(batch)(**{**vars(batch), "pairs": batch.pairs.flip(0), "pair_vector": -batch.pair_vector})
    change = {}
    for directed in (False, True):
        made = build(model, Head("edge", directed=directed)).eval()
        with torch.no_grad():
            change[directed] = _largest(made(batch) - made(turned))
    note = "" if change[True] > 1e-6 else "a directed head does not tell (i, j) from (j, i)"
    return Finding(
        law="undirected pairs have one value",
        holds=change[False] < TOLERANCE and not note,
        largest=change[False], limit=TOLERANCE, note=note,
    )  # fmt: skip


def same_seed_same_weights(model: str) -> Finding:
    """Weights depend on the seed alone."""
    level = _level(model, "graph")
    first, again, other = (network(model, level, seed).state_dict() for seed in (1, 1, 2))
    differing = [key for key in first if not torch.equal(first[key], again[key])]
    note = f"{differing[0]} differs between two networks of one seed" if differing else ""
    if not note and all(torch.equal(first[key], other[key]) for key in first):
        note = "another seed gives the same weights"
    return Finding(law="the same seed gives the same weights", holds=not note, note=note)


def gradients_reach_every_parameter(model: str) -> Finding:
    """Every parameter takes part, and its gradient is finite."""
    made = network(model, _level(model, "graph")).train()
    made(batch_of(model, _shown(model))).sum().backward()
    unreached = [name for name, parameter in made.named_parameters() if parameter.grad is None]
    wild = [name for name, p in made.named_parameters() if p.grad is not None and not torch.isfinite(p.grad).all()]
    note = f"no gradient reaches {unreached[0]}" if unreached else ""
    if wild:
        note = f"the gradient of {wild[0]} is not finite"
    return Finding(law="finite gradients reach every parameter", holds=not note, note=note)


def finite_on_one_atom(model: str, cell: float, cutoff: float) -> Finding:
    """Predictions and gradients of a cell of one atom are finite, however many neighbours it has."""
    law = f"finite on a one-atom cell of {cell:g} Å"
    batch = lone_atom(model, cell, cutoff)
    positions = batch.positions.clone().requires_grad_()
    made = network(model, _level(model, "graph"))
    out = made(batch.with_positions(positions))
    out.sum().backward()
    tensors = {"the prediction": out, "the gradient of positions": positions.grad}
    tensors |= {f"the gradient of {name}": parameter.grad for name, parameter in made.named_parameters()}
    wild = [name for name, tensor in tensors.items() if tensor is not None and not torch.isfinite(tensor).all()]
    note = f"{wild[0]} is not finite" if wild else f"{len(batch.src)} neighbours" if len(batch.src) else ""
    return Finding(law=law, holds=not wild, note=note)


def lone_atom(model: str, cell: float, cutoff: float) -> Batch:
    """A cubic cell of one polonium atom, with as many neighbours as lie within the cut-off (Å)."""
    crystals = Crystals.build([{"id": "Po", "numbers": [84], "positions": [[0, 0, 0]], "cell": np.eye(3) * cell}])
    uses_graph = model_class(model).uses_graph
    graphs = build_graphs(crystals, GraphSpec(cutoff=cutoff)) if uses_graph else without_edges(crystals)
    return GraphTensors(graphs, dtype=torch.float64).batch(torch.tensor([0]))


def embeddings_are_one_per_hop(model: str) -> Finding:
    """``embeddings`` gives the states of all atoms, before the first hop and after each."""
    made = network(model, _level(model, "graph"))
    shown = _shown(model)
    states = made.embeddings(batch_of(model, shown))
    note = ""
    if len(states) != made.hops + 1:
        note = f"{len(states)} states, expected {made.hops + 1} for {made.hops} hops"
    elif any(len(state) != len(shown.numbers) for state in states):
        note = "states are not one per atom"
    return Finding(law="embeddings of the input and each hop", holds=not note, note=note)


def overfits_ten_crystals(model: str) -> Finding:
    """Trained on ten crystals by the common loop, it reproduces their labels."""
    level, chosen = _level(model, "graph"), np.arange(1, 828, 83)
    if level == "edge":
        crystals = crystals_with_pairs(prototypes(), chosen[prototypes().crystals.n_atoms[chosen] > 1])
        values = np.linalg.norm(crystals.pair_vector, axis=1)
    else:
        crystals = prototypes().crystals.take(chosen)
        values = crystals.labels({"graph": "e_form", "node": "hirshfeld"}[level]).copy()
    labels, rows = torch.as_tensor(values)[:, None], np.arange(len(crystals))
    task = Task(GraphTensors(graphs_of(model, crystals)), labels, level, Split(rows, rows, rows))
    settings = Training(epochs=250, batch_size=10, learning_rate=0.005, weight_decay=0.0)
    kind = model_class(model)
    if not issubclass(kind, Model):
        raise TypeError(f"{model} is no network")
    with tempfile.TemporaryDirectory() as folder:
        fitted = fit(
            lambda: kind(config_of(model), Head(level)), task, settings, 0,
            checkpoint=Path(folder) / "checkpoint", observe=lambda _: None,
        )  # fmt: skip
    error = float(np.abs(predict_fitted(fitted, task, rows, 10) - labels[:, 0].numpy()).mean() / float(labels.std()))
    return Finding(
        law="it overfits ten crystals", holds=error < OVERFIT_SHARE, largest=error, limit=OVERFIT_SHARE,
        note="mean error over the deviation of the labels",
    )  # fmt: skip


def frameworks_agree(model: str, level: Level, **settings: object) -> Finding:
    """PyTorch Geometric and DGL give the same outputs and gradients with the same weights."""
    law = f"PyG and DGL agree, {level} level"
    try:
        import_dgl()
    except SpecError as error:
        return Finding(law=law, holds=None, note=str(error))
    batch = batch_of(model, crystals_with_pairs(prototypes()))
    pyg, dgl = (build(model, Head(level), seed, framework=name, **settings) for seed, name in enumerate(("pyg", "dgl")))
    dgl.load_state_dict(pyg.state_dict())
    outputs = []
    for made in (pyg, dgl):
        out = made(batch)
        out.square().sum().backward()
        outputs.append(out.detach())
    change = _difference(*outputs)
    change = max(change, _gradients_differ(pyg, dgl))
    return Finding(law=law, holds=change < FRAMEWORKS_AGREE, largest=change, limit=FRAMEWORKS_AGREE)


def _gradients_differ(ours: Model, theirs: Model) -> float:
    """Largest difference of the gradients of two networks; infinite if one has a gradient where the other has none."""
    change, others = 0.0, dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        one, other = parameter.grad, others[name].grad
        if (one is None) != (other is None):
            return math.inf
        if one is not None and other is not None:
            change = max(change, _difference(one, other))
    return change


def _difference(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference, as a share of what is larger than 1: gradients of sums can be of any size."""
    return _largest((ours - theirs) / ours.abs().clamp(min=1))


def _largest(change: Tensor) -> float:
    return float(change.detach().abs().max())


def _level(model: str, wanted: Level) -> Level:
    """The wanted level, or the first that the model has a head for."""
    levels = model_card(model).levels
    return wanted if wanted in levels else levels[0]


def _shown(model: str) -> Crystals:
    return crystals_with_pairs(prototypes()) if _level(model, "graph") == "edge" else shaken_prototypes()
