"""Crystals on disk: one Parquet file, a row per crystal."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gbench.crystals import Crystals, IntArray
from gbench.storage import atomic_path


def write_crystals(path: Path, crystals: Crystals) -> None:
    """Write the file, moved into place only when whole."""
    columns: dict[str, Any] = {
        "id": pa.array(crystals.ids, pa.string()),
        "numbers": _lists(crystals.numbers, crystals.ptr),
        "positions": _lists(crystals.positions.reshape(-1), crystals.ptr * 3),
        "cell": pa.FixedSizeListArray.from_arrays(pa.array(crystals.cell.reshape(-1)), 9),
        "pbc": pa.FixedSizeListArray.from_arrays(pa.array(crystals.pbc.reshape(-1)), 3),
    }
    columns |= {f"graph:{name}": pa.array(values) for name, values in crystals.graph_targets.items()}
    columns |= {f"node:{name}": _lists(values, crystals.ptr) for name, values in crystals.node_targets.items()}
    if len(crystals.pairs):
        ptr = crystals.pair_ptr
        local = crystals.pairs - crystals.ptr[crystals.crystal_of_pair, None]
        columns["pairs"] = _lists(local.astype(np.int32).reshape(-1), ptr * 2)
        columns["pair_image"] = _lists(crystals.pair_image.reshape(-1), ptr * 3)
        columns |= {f"edge:{name}": _lists(values, ptr) for name, values in crystals.edge_targets.items()}
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")


def read_columns(path: Path) -> dict[str, Any]:
    """The fields of :class:`gbench.crystals.Crystals` in a file of :func:`write_crystals`."""
    table = pq.read_table(path).combine_chunks()

    def flat(name: str) -> NDArray[Any]:
        return np.asarray(table[name].chunk(0).flatten().to_numpy(zero_copy_only=False))

    offsets = table["numbers"].chunk(0).offsets.to_numpy()
    names = table.column_names
    edges: dict[str, Any] = {}
    if "pairs" in names:
        own = np.diff(table["pairs"].chunk(0).offsets.to_numpy()) // 2
        edges = {
            "pairs": flat("pairs").reshape(-1, 2) + np.repeat(offsets[:-1].astype(np.int64), own)[:, None],
            "pair_image": flat("pair_image").reshape(-1, 3),
            "edge_targets": {n.removeprefix("edge:"): flat(n) for n in names if n.startswith("edge:")},
        }
    return dict(
        ids=tuple(table["id"].to_pylist()),
        numbers=flat("numbers"),
        positions=flat("positions").reshape(-1, 3),
        cell=flat("cell").reshape(-1, 3, 3),
        pbc=flat("pbc").reshape(-1, 3),
        ptr=offsets.astype(np.int64),
        graph_targets={n.removeprefix("graph:"): table[n].to_numpy() for n in names if n.startswith("graph:")},
        node_targets={n.removeprefix("node:"): flat(n) for n in names if n.startswith("node:")},
        **edges,
    )


def _lists(values: NDArray[Any], offsets: IntArray) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(values))
