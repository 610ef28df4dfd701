"""Edges on disk: an Arrow stream that is used as memory, then a checksum of it."""

import mmap
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from xxhash import xxh3_128

from gbench.crystals import IntArray
from gbench.neighbors import Edges
from gbench.storage import atomic_path

CHECKSUM_BYTES = 16
DIGEST = b"gbench.edges.sha256"


class StoredEdges(NamedTuple):
    """What a file holds."""

    edges: Edges
    """Views of the mapped file; they cannot be written to."""
    digest: str
    """sha256 of the edges, as it was when they were written."""


def write_edges(path: Path, stored: StoredEdges, ptr: IntArray) -> None:
    """One row per crystal; ``ptr`` is (n + 1,) first atom of each. Moved into place only when whole.

    The checksum stands behind the stream's end, where readers of Arrow do not look.
    """
    edges = stored.edges
    edge_ptr = np.concatenate([[0], np.cumsum(edges.degree, dtype=np.int64)])[ptr]
    columns = {
        "degree": _lists(edges.degree, ptr),
        "src": _lists(edges.src, edge_ptr),
        "image": _lists(edges.image.reshape(-1), 3 * edge_ptr),
    }
    if edges.weight is not None:
        columns["weight"] = _lists(edges.weight, edge_ptr)
    table = pa.table(columns).replace_schema_metadata({DIGEST: stored.digest})
    with atomic_path(path) as temporary:
        with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=max(1, len(table)))
        with temporary.open("rb") as written, mmap.mmap(written.fileno(), 0, access=mmap.ACCESS_READ) as content:
            checksum = xxh3_128(content).digest()
        with temporary.open("ab") as end:
            end.write(checksum)


def read_edges(path: Path) -> StoredEdges | None:
    """The edges in the file, memory-mapped, or None if there is no such file or it is not what was written."""
    try:
        with path.open("rb") as file:
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError):
        return None
    stream, checksum = content[:-CHECKSUM_BYTES], content[-CHECKSUM_BYTES:]
    # nothing is parsed before it is known to be whole
    if xxh3_128(stream).digest() != checksum:
        return None
    try:
        table = pa.ipc.open_stream(pa.BufferReader(pa.py_buffer(stream))).read_all()
        arrays = {name: table[name].chunk(0).values.to_numpy() for name in table.column_names}
        edges = Edges(arrays["degree"], arrays["src"], arrays["image"].reshape(-1, 3), arrays.get("weight"))
        return StoredEdges(edges, table.schema.metadata[DIGEST].decode())
    except (pa.ArrowException, KeyError, TypeError):
        return None


def _lists(values: NDArray[np.generic], offsets: IntArray) -> pa.LargeListArray:
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values))
