"""What the graphs of a training are, as built and as a network is given them."""

import hashlib

import numpy as np
import torch

from gbench.batch import GraphTensors
from gbench.cards import Frozen
from gbench.dataset import Dataset
from gbench.graphs import build_graphs
from gbench.quotient import Sight
from gbench.spec import GraphSpec


class EdgeHashes(Frozen):
    """sha256 over integers only, so the same on every machine."""

    built: str
    """Of the edges as the builder makes them (:attr:`gbench.graphs.Graphs.edges_sha256`)."""
    batched: str
    """Of the edges of one batch of all crystals and, where atoms stand for others, of the edges per crystal that those
    of a batch stand for."""


def edge_hashes(dataset: Dataset, spec: GraphSpec, sees: Sight | None) -> EdgeHashes:
    """The hashes of the graphs of a dataset, built anew, for a network that ``sees`` so much."""
    graphs = build_graphs(dataset.crystals, spec)
    rows = torch.arange(len(dataset.crystals))
    batch = GraphTensors(graphs).batch(rows)
    digest = hashlib.sha256()
    for column in (batch.src, batch.dst, batch.image):
        digest.update(np.ascontiguousarray(column.numpy(), "<i8").data)
    if sees is not None:
        merged = GraphTensors(graphs, merge=sees).batch(rows)
        if merged.copies is not None:
            stood_for = torch.zeros(len(rows), dtype=torch.float64)
            stood_for.index_add_(0, merged.graph_of_edge, merged.copies.all_edges.double())
            digest.update(np.ascontiguousarray(stood_for.numpy(), "<i8").data)
    return EdgeHashes(built=graphs.edges_sha256, batched=digest.hexdigest())
