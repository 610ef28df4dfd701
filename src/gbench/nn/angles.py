"""The angles of a batch, if there is memory for them."""

import torch
from torch import Tensor

from gbench.batch import Batch
from gbench.devices import free_bytes
from gbench.edgepairs import EdgePairs
from gbench.errors import SpecError
from gbench.triplets import line_graph

INDEX_BYTES = 150
"""Per angle: pairs of edges, their vectors and what finding them takes."""
ALWAYS_FITS_BYTES = 2**28


def angles(batch: Batch, numbers_per_angle: int) -> EdgePairs:
    """The line graph of a batch, all k -> j -> i: the one it holds, or worked out.

    ``numbers_per_angle`` is how many numbers the network holds per angle until the backward pass has used them. An atom
    with d neighbours takes part in d^2 angles, so that a cut-off twice as long needs 64 times the memory. That is found
    out here, before the system ends the process.

    Raises:
        SpecError: more memory would be needed than is free.
    """
    if batch.angles is not None:
        return batch.angles
    # without gradients a layer's numbers are gone when the next begins: half is what two layers would need at most
    held = numbers_per_angle if torch.is_grad_enabled() else numbers_per_angle // 2
    count = count_angles(batch)
    needed = count * (held * batch.vector.element_size() + INDEX_BYTES)
    if needed > ALWAYS_FITS_BYTES and needed > (free := free_bytes(batch.vector.device)):
        fitting = int(batch.n_graphs * free / needed)
        smaller = f"training.batch_size={fitting} would fit, as would " if fitting else ""
        raise SpecError(
            f"{count:,} angles between the {len(batch.src):,} edges of a batch need about {needed / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB are free; {smaller}a shorter graph.cutoff, or graph.kind=knn with graph.neighbors=12"
        )
    return line_graph(batch)


def count_angles(batch: Batch) -> int:
    """Pairs k -> j -> i, those straight back included."""
    return int(torch.bincount(batch.dst, minlength=batch.n_atoms)[batch.src].sum())


def legendre(cosine: Tensor, size: int) -> Tensor:
    r"""Legendre polynomials :math:`P_0 \dots P_{size - 1}` of a cosine, by Bonnet's recurrence.

    .. math::
        (l + 1) P_{l+1}(x) = (2 l + 1) x P_l(x) - l P_{l-1}(x)

    Polynomials of the cosine have finite slopes at straight angles, where functions of the angle itself have none.

    Shapes: cosine (angles,) -> (angles, size).
    """
    values = [torch.ones_like(cosine), cosine]
    for order in range(1, size - 1):
        values.append(((2 * order + 1) * cosine * values[order] - order * values[order - 1]) / (order + 1))
    return torch.stack(values[:size], dim=1)
