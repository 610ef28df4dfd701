"""Ways to sum messages into atoms and to bring atom states to edges: why ``gbench.nn.segments`` is what it is.

Edges are sorted by centre, as in every batch. One thread, forward and backward.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torch_geometric.utils import scatter

from benchmarks.speed.measure import in_turn, print_table, ratio, typical
from gbench.nn.segments import gather, segment_sum

# (atoms, neighbours, width): 128 perovskites at 12 neighbours, 64 crystals of ten atoms at 5 Å, a large batch
SIZES = ((640, 12, 64), (640, 12, 128), (640, 45, 64), (4000, 45, 64))
CALLS, ROUNDS = 10, 15
Reduce = Callable[[Tensor], Tensor]


def sums(dst: Tensor, atoms: int, width: int) -> dict[str, Reduce]:
    """Ways to sum (edges, width) into (atoms, width); the first is ours."""
    degree = torch.bincount(dst, minlength=atoms)
    ends = torch.cat([torch.zeros(1, dtype=torch.int64), degree.cumsum(0)])
    edges = len(dst)
    with warnings.catch_warnings():
        # torch calls its CSR tensors beta
        warnings.simplefilter("ignore")
        matrix = torch.sparse_csr_tensor(ends, torch.arange(edges), torch.ones(edges), size=(atoms, edges))
    wide = dst[:, None].expand(-1, width)
    return {
        "index_add": lambda x: segment_sum(x, dst, atoms),
        "scatter_add": lambda x: torch.zeros(atoms, width).scatter_add(0, wide, x),
        "PyG scatter": lambda x: scatter(x, dst, 0, atoms),
        "segment_reduce": lambda x: torch.segment_reduce(x, "sum", lengths=degree, unsafe=True),
        "CSR matrix": lambda x: matrix @ x,
    }


def gathers(src: Tensor, dst: Tensor, atoms: int) -> dict[str, Reduce]:
    """Ways to bring (atoms, width) to (edges, width); the first is ours."""
    degree = torch.bincount(dst, minlength=atoms)
    return {
        "index_select, neighbour": lambda x: gather(x, src),
        "index_select, centre": lambda x: gather(x, dst),
        "x[index], centre": lambda x: x[dst],
        "repeat_interleave, centre": lambda x: x.repeat_interleave(degree, 0, output_size=len(dst)),
    }


def step(function: Reduce, values: Tensor, grad: Tensor) -> Callable[[], None]:
    """``CALLS`` forward and backward passes."""

    def call() -> None:
        for _ in range(CALLS):
            torch.autograd.grad(function(values), values, grad)

    return call


def compare(functions: dict[str, Reduce], values: Tensor, grad: Tensor) -> dict[str, list[str]]:
    """CPU milliseconds and ratio to the first, by name."""
    costs = in_turn({name: step(function, values, grad) for name, function in functions.items()}, ROUNDS)
    ours = next(iter(costs.values()))
    return {
        name: [f"{typical(counted).cpu / CALLS * 1e3:.2f} ({ratio(counted, ours):.2f})"]
        for name, counted in costs.items()
    }


def main() -> None:
    """Time every way at every size."""
    torch.set_num_threads(1)
    cells: dict[str, list[str]] = {}
    for atoms, neighbors, width in SIZES:
        dst = torch.arange(atoms).repeat_interleave(neighbors)
        src = torch.randint(atoms, (len(dst),))
        edge_values, atom_values = (torch.randn(n, width, requires_grad=True) for n in (len(dst), atoms))
        found = compare(sums(dst, atoms, width), edge_values, torch.randn(atoms, width))
        found |= compare(gathers(src, dst, atoms), atom_values, torch.randn(len(dst), width))
        for name, cell in found.items():
            cells.setdefault(name, []).extend(cell)
    print_table(
        f"Sums and gathers, forward and backward, CPU milliseconds (median of {ROUNDS}), (ratio to the first)",
        ["atoms x neighbours x width", *(" x ".join(map(str, size)) for size in SIZES)],
        [[name, *cell] for name, cell in cells.items()],
    )


if __name__ == "__main__":
    main()
