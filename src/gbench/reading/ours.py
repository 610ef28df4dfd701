"""A Parquet file that :meth:`gbench.crystals.Crystals.write` made, with one of its targets."""

import dataclasses
from pathlib import Path

from gbench.crystals import Crystals
from gbench.errors import DataError, unknown

COLUMNS = {"id", "numbers", "positions", "cell", "pbc"}


def read_ours(path: Path, key: str | None, target: str | None) -> Crystals | None:
    """The crystals with the target ``key``, renamed ``target``; None if the file is not one of ours.

    Raises:
        DataError: several targets and none chosen, or columns that do not fit together.
        UnknownNameError: no such target.
    """
    if path.suffix.lower() != ".parquet" or not path.is_file() or not _is_ours(path):
        return None
    try:
        crystals = Crystals.read(path).check()
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from error
    except Exception as error:  # a file that was changed by hand breaks in any of Arrow's and numpy's ways
        raise DataError(f"{path.name}: its columns do not fit together ({error})") from error
    names = sorted(crystals.targets)
    if key is None and len(names) == 1:
        key = names[0]
    if key is None:
        raise DataError(f"{path.name}: which target? It holds {', '.join(names) or 'none'}; choose one with --target")
    if key not in names:
        raise unknown(f"target of {path.name}", key, names)
    new = target or key
    return dataclasses.replace(
        crystals,
        graph_targets={new: crystals.graph_targets[key]} if key in crystals.graph_targets else {},
        node_targets={new: crystals.node_targets[key]} if key in crystals.node_targets else {},
        edge_targets={new: crystals.edge_targets[key]} if key in crystals.edge_targets else {},
    )


def _is_ours(path: Path) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return set(pq.read_schema(path).names) >= COLUMNS
    except (pa.ArrowException, OSError, ValueError):
        return False
