"""The gated product of CGCNN with a backward pass of its own."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def gated_product_(z: Tensor) -> Tensor:
    r"""Elementwise :math:`\sigma(a) \ln(1 + e^b)` of the halves :math:`z = a \oplus b`; ``z`` is overwritten.

    The derivative of softplus is the sigmoid and softplus is a logarithm of it, so one sigmoid over ``z`` serves both
    factors in both passes, where autograd takes more exponentials and more passes over memory
    (``benchmarks/speed/gates.py``). A second derivative raises.

    Shapes: (items, 2 width) -> (items, width).
    """
    out: Tensor = _GatedProduct.apply(z)  # type: ignore[no-untyped-call]
    return out


class _GatedProduct(Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        positive_part = torch.relu(z.chunk(2, dim=1)[1])
        # in place: a fresh tensor over all edges would cost about as much in cache misses as its sigmoid
        sigmoids = z.detach().sigmoid_()
        gate, slope = sigmoids.chunk(2, dim=1)
        # softplus(b) = max(b, 0) - ln sigmoid(|b|) neither overflows nor cancels, however large b is
        softplus = positive_part.sub_(torch.maximum(slope, 1 - slope).log_())
        product = softplus.mul_(gate)
        ctx.save_for_backward(sigmoids, product)
        return product

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        sigmoids, product = ctx.saved_tensors
        gate, slope = sigmoids.chunk(2, dim=1)
        # written into the halves of one tensor, which saves joining them
        out = torch.empty_like(sigmoids)
        of_gate, of_core = out.chunk(2, dim=1)
        torch.addcmul(product, product, gate, value=-1, out=of_gate).mul_(grad)
        torch.mul(gate, slope, out=of_core).mul_(grad)
        return out
