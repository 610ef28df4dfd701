"""Space groups and structure prototypes, found once and kept in the cache."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gbench.content import cache_dir
from gbench.crystals import Crystals, IntArray
from gbench.errors import DataError
from gbench.storage import atomic_path

SYMPREC_ANGSTROM = 1e-2
TIGHTER = (1.0, 0.1, 0.01)
"""Where the tolerance is too wide for a cell to have any consistent group, it is tightened by these factors."""
CHUNK = 256
WORTH_A_PROCESS = 8 * CHUNK


@dataclass(frozen=True)
class Symmetries:
    """Symmetry of each crystal, at a tolerance of 0.01 Å."""

    number: IntArray
    """(n,) space group, 1-230; 1 where no group is consistent at any tolerance tried."""
    prototypes: tuple[str, ...]
    """(n,) space group, Pearson symbol, and the orbits of each element, without saying which element: the same for
    crystals that differ by which elements sit where, by lattice constants and by free coordinates."""

    @cached_property
    def crystal_systems(self) -> tuple[str, ...]:
        """(n,) e.g. ``Cubic``."""
        return tuple(_group_type(number)[0] for number in self.number.tolist())

    @cached_property
    def point_groups(self) -> tuple[str, ...]:
        """(n,) geometric crystal class in Hermann-Mauguin notation, e.g. ``m-3m``."""
        return tuple(_group_type(number)[1] for number in self.number.tolist())

    @cached_property
    def space_groups(self) -> tuple[str, ...]:
        """(n,) short Hermann-Mauguin symbol with the number, e.g. ``Fm-3m (225)``."""
        return tuple(f"{_group_type(number)[2]} ({number})" for number in self.number.tolist())


def symmetries(crystals: Crystals) -> Symmetries:
    """Symmetry of each crystal by moyopy (https://github.com/spglib/moyo), from the cache or found and cached.

    Slabs are taken as what their cell says, a crystal with a layer of vacuum.

    Raises:
        DataError: molecules, which have no space group.
    """
    without = np.flatnonzero(crystals.volume == 0)
    if len(without):
        raise DataError(
            f"{crystals.ids[without[0]]!r} is a molecule (and {len(without) - 1} more): space groups are of crystals; "
            "choose a split by formula or cluster"
        )
    key = hashlib.sha256(f"{crystals.without_labels().sha256()} {version('moyopy')} {SYMPREC_ANGSTROM}".encode())
    path = cache_dir() / "symmetry" / f"{key.hexdigest()[:32]}.parquet"
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError):
        table = _find(crystals)
        with atomic_path(path) as temporary:
            table.to_parquet(temporary, index=False)
    return Symmetries(table["number"].to_numpy(np.int64), tuple(table["prototype"]))


def _find(crystals: Crystals) -> pd.DataFrame:
    chunks = [crystals.take(range(a, min(a + CHUNK, len(crystals)))) for a in range(0, len(crystals), CHUNK)]
    found: Iterator[list[tuple[int, str]]] = map(_of_chunk, chunks)
    if len(crystals) >= WORTH_A_PROCESS:
        from joblib import Parallel, delayed

        pool = Parallel(n_jobs=-1, return_as="generator", max_nbytes=None)
        found = iter(pool(delayed(_of_chunk)(chunk) for chunk in chunks))  # pyright: ignore[reportAssignmentType]
    return pd.DataFrame([entry for part in found for entry in part], columns=["number", "prototype"])


def _of_chunk(crystals: Crystals) -> list[tuple[int, str]]:
    found = []
    for row in range(len(crystals)):
        atoms = slice(crystals.ptr[row], crystals.ptr[row + 1])
        found.append(_of_crystal(crystals.cell[row], crystals.positions[atoms], crystals.numbers[atoms]))
    return found


def _of_crystal(
    cell: NDArray[np.float64], positions: NDArray[np.float64], numbers: NDArray[np.int16]
) -> tuple[int, str]:
    import moyopy

    # it writes what supercells it reduced to the log
    logging.getLogger("moyo").setLevel(logging.ERROR)
    fractional = np.linalg.solve(cell.T, positions.T).T
    described = moyopy.Cell(cell.tolist(), fractional.tolist(), numbers.tolist())
    for factor in TIGHTER:
        try:
            dataset = moyopy.MoyoDataset(described, symprec=SYMPREC_ANGSTROM * factor)
        except ValueError:
            continue
        return dataset.number, _prototype(dataset, numbers)
    return 1, f"1 aP{len(numbers)} unknown"


def _prototype(dataset: "moyopy.MoyoDataset", numbers: NDArray[np.int16]) -> str:  # type: ignore[name-defined] # noqa: F821
    """Wyckoff letters depend on the choice of origin; an orbit's size and site symmetry do not."""
    orbits: dict[int, list[str]] = {}
    members, sizes = np.unique(dataset.orbits, return_counts=True)
    for atom, size in zip(members.tolist(), sizes.tolist(), strict=True):
        site = dataset.site_symmetry_symbols[atom].replace(".", "")
        # sizes are per given cell; a supercell of the same crystal must read the same
        orbits.setdefault(int(numbers[atom]), []).append(f"{size * dataset.std_cell.num_atoms // len(numbers)}({site})")
    elements = sorted("+".join(sorted(own)) for own in orbits.values())
    return f"{dataset.number} {dataset.pearson_symbol} {' '.join(elements)}"


def _group_type(number: int) -> tuple[str, str, str]:
    import moyopy

    kind = moyopy.SpaceGroupType(number)
    return str(kind.crystal_system), str(kind.geometric_crystal_class), str(kind.hm_short).replace(" ", "")
