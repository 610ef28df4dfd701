"""Gather and reduce over the edges of atoms and the atoms of graphs.

Items may stand for several that are alike: ``copies`` (items,) says for how many. Any positive weight will do.

``index_select`` and ``index_add`` were the fastest deterministic pair on CPU (``benchmarks/speed/segments.py``).
"""

import torch
from torch import Tensor


def gather(values: Tensor, index: Tensor) -> Tensor:
    """``values[index]`` along the first axis."""
    return values.index_select(0, index)


def segment_sum(values: Tensor, index: Tensor, size: int, copies: Tensor | None = None) -> Tensor:
    """(size, ...) sum of the ``values`` (items, ...) whose ``index`` is each segment; empty segments are 0.

    Numbers of 16 bits are summed in 32.
    """
    values = wider(values)
    if copies is not None:
        values = values * wide(copies, values)
    return torch.zeros((size, *values.shape[1:]), dtype=values.dtype, device=values.device).index_add(0, index, values)


def segment_mean(values: Tensor, index: Tensor, size: int, copies: Tensor | None = None) -> Tensor:
    """(size, ...) mean of each segment; empty segments are 0."""
    if copies is None:
        count = segment_count(index, size).clamp_(min=1).to(values.dtype)
    else:
        count = segment_sum(copies, index, size).clamp(min=torch.finfo(copies.dtype).eps)
    return segment_sum(values, index, size, copies) / wide(count, values)


def segment_count(index: Tensor, size: int) -> Tensor:
    """(size,) items of each segment. Unlike ``bincount`` it does not wait for the device."""
    return torch.zeros(size, dtype=torch.int64, device=index.device).index_add(0, index, torch.ones_like(index))


def segment_max(values: Tensor, index: Tensor, size: int) -> Tensor:
    """(size, ...) largest value of each segment; empty segments are 0."""
    from torch_geometric.utils import scatter

    out: Tensor = scatter(values, index, dim=0, dim_size=size, reduce="max")
    return out


def segment_softmax(scores: Tensor, index: Tensor, size: int, copies: Tensor | None = None) -> Tensor:
    """(items, ...) softmax of the scores within each segment; of an item with copies, what all of them get."""
    from torch_geometric.utils import softmax

    if copies is not None:
        scores = scores + wide(copies.log(), scores)
    out: Tensor = softmax(scores, index, num_nodes=size)
    return out


def wider(values: Tensor) -> Tensor:
    """Values in at least 32 bits."""
    return values.float() if values.dtype == torch.bfloat16 else values


def wide(weights: Tensor, like: Tensor) -> Tensor:
    """Weights (items,) in as many dimensions as ``like`` (items, ...) has, to multiply it with."""
    return weights.view(-1, *[1] * (like.dim() - 1))
