"""Many CIFs -> flat arrays, over all cores, with a progress bar where there is somebody to see it."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from gbench.cores import cores
from gbench.crystals import Crystals, FloatArray, IntArray
from gbench.errors import DataError
from gbench.reading.cif import CifCrystal, read_cif, read_cif_file
from gbench.waiting import bar

CHUNK = 512
WORTH_A_PROCESS = 8 * CHUNK
"""Fewer files are read sooner than other processes start."""
PERIODIC = (True, True, True)


class Structures(NamedTuple):
    """Structures without ids and labels, in flat arrays as those of :class:`gbench.crystals.Crystals`."""

    numbers: NDArray[np.int16]
    positions: FloatArray
    cell: FloatArray
    ptr: IntArray

    def crystals(
        self,
        ids: Sequence[str],
        graph_targets: Mapping[str, FloatArray],
        pbc: tuple[bool, bool, bool] = PERIODIC,
    ) -> Crystals:
        """The crystals of these structures, checked.

        Raises:
            DataError: as :meth:`gbench.crystals.Crystals.check`.
        """
        periodic = np.tile(np.array(pbc), (len(ids), 1))
        return Crystals(tuple(ids), *self[:3], periodic, self.ptr, graph_targets).check()


def read_cifs(names: Sequence[str], sources: Sequence[str | Path], *, workers: int | None = None) -> Structures:
    """The structures in CIF texts or files, in order; ``names`` are what errors call them.

    ``workers`` processes share the work; all cores, where the work is worth it, unless given.

    Raises:
        DataError: the first file that is refused (:func:`gbench.reading.cif.read_cif`).
    """
    chunks = [(names[start : start + CHUNK], sources[start : start + CHUNK]) for start in range(0, len(names), CHUNK)]
    if not chunks:
        raise DataError("there is no structure to read")
    workers = (cores() if len(names) >= WORTH_A_PROCESS else 1) if workers is None else workers
    parts = []
    worth_a_bar = len(names) >= WORTH_A_PROCESS
    with bar("reading structures", len(chunks)) if worth_a_bar else nullcontext() as advance:
        for part in _results(chunks, workers):
            if isinstance(part, DataError):
                raise part
            parts.append(part)
            if advance is not None:
                advance(1)
    return _joined(parts)


Chunk = tuple[Sequence[str], Sequence[str | Path]]


def _results(chunks: Sequence[Chunk], workers: int) -> Iterable[Structures | DataError]:
    if workers == 1:
        return map(_read_chunk, chunks)
    from joblib import Parallel, delayed

    # an error is handed over as a value, so that the first in order is the one that is shown
    read: Any = Parallel(workers, return_as="generator")(delayed(_read_chunk)(chunk) for chunk in chunks)
    return cast(Iterable[Structures | DataError], read)


def _read_chunk(chunk: Chunk) -> Structures | DataError:
    crystals: list[CifCrystal] = []
    for name, source in zip(chunk[0], chunk[1], strict=True):
        try:
            crystals.append(read_cif(source, name) if isinstance(source, str) else read_cif_file(source))
        except DataError as error:
            return error
    return Structures(
        np.concatenate([crystal.numbers for crystal in crystals]),
        np.concatenate([crystal.positions for crystal in crystals]),
        np.stack([crystal.cell for crystal in crystals]),
        np.cumsum([0, *(len(crystal.numbers) for crystal in crystals)]),
    )


def _joined(parts: Sequence[Structures]) -> Structures:
    firsts = np.cumsum([0, *(part.ptr[-1] for part in parts)])
    return Structures(
        np.concatenate([part.numbers for part in parts]),
        np.concatenate([part.positions for part in parts]),
        np.concatenate([part.cell for part in parts]),
        np.concatenate([[0], *(part.ptr[1:] + first for part, first in zip(parts, firsts[:-1], strict=True))]),
    )
