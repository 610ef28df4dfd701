"""CGCNN's gated product: autograd's, and ours with its own backward pass. One thread, forward and backward."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.speed.measure import in_turn, print_table, ratio, typical
from gbench.nn.gates import gated_product_

SIZES = ((7680, 64), (40000, 64), (7680, 128))
CALLS, ROUNDS = 20, 15


def autograd(z: Tensor) -> Tensor:
    """As the paper writes it."""
    gate, core = z.chunk(2, dim=1)
    return torch.sigmoid(gate) * F.softplus(core)


def step(product: Callable[[Tensor], Tensor], z: Tensor, grad: Tensor) -> Callable[[], None]:
    """``CALLS`` forward and backward passes; of a copy of ``z``, for ours overwrites it."""

    def call() -> None:
        for _ in range(CALLS):
            copy = z.clone()
            torch.autograd.grad(product(copy), copy, grad)

    return call


def main() -> None:
    """Time both at every size."""
    torch.set_num_threads(1)
    rows = []
    for edges, width in SIZES:
        z, grad = torch.randn(edges, 2 * width, requires_grad=True), torch.randn(edges, width)
        costs = in_turn({"autograd": step(autograd, z, grad), "ours": step(gated_product_, z, grad)}, ROUNDS)
        milliseconds = [f"{typical(counted).cpu / CALLS * 1e3:.2f}" for counted in costs.values()]
        rows.append([f"{edges} x {width}", *milliseconds, f"{ratio(costs['autograd'], costs['ours']):.2f}"])
    print_table(
        f"Gated product, forward and backward, CPU milliseconds (median of {ROUNDS})",
        ["edges x width", "sigmoid(a) * softplus(b)", "gated_product_", "ratio"],
        rows,
    )


if __name__ == "__main__":
    main()
