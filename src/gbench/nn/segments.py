"""Gather and reduce over the edges of atoms and the atoms of graphs.

``index_select`` and ``index_add`` were the fastest deterministic pair on CPU (``benchmarks/speed/segments.py``).
"""

import torch
from torch import Tensor


def gather(values: Tensor, index: Tensor) -> Tensor:
    """``values[index]`` along the first axis."""
    return values.index_select(0, index)


def segment_sum(values: Tensor, index: Tensor, size: int) -> Tensor:
    """(size, ...) sum of the ``values`` (items, ...) whose ``index`` is each segment; empty segments are 0."""
    return torch.zeros((size, *values.shape[1:]), dtype=values.dtype, device=values.device).index_add(0, index, values)


def segment_mean(values: Tensor, index: Tensor, size: int) -> Tensor:
    """(size, ...) mean of each segment; empty segments are 0."""
    count = torch.bincount(index, minlength=size).clamp_(min=1).to(values.dtype)
    return segment_sum(values, index, size) / count.view(-1, *[1] * (values.dim() - 1))


def segment_max(values: Tensor, index: Tensor, size: int) -> Tensor:
    """(size, ...) largest value of each segment; empty segments are 0."""
    from torch_geometric.utils import scatter

    out: Tensor = scatter(values, index, dim=0, dim_size=size, reduce="max")
    return out


def segment_softmax(scores: Tensor, index: Tensor, size: int) -> Tensor:
    """(items, ...) softmax of the scores within each segment."""
    from torch_geometric.utils import softmax

    out: Tensor = softmax(scores, index, num_nodes=size)
    return out
