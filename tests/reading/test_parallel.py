"""Many files are read as one is, whoever reads them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from terminal import waits_for

from gbench.errors import DataError
from gbench.reading import parallel
from gbench.reading.cif import read_cif
from gbench.reading.parallel import read_cifs

ANGLES = "".join(f"_cell_angle_{angle} 90\n" for angle in ("alpha", "beta", "gamma"))
LOOP = "loop_\n_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"


def cif(size: int) -> str:
    """A cell of as many atoms as its length."""
    lengths = "".join(f"_cell_length_{axis} {size}\n" for axis in "abc")
    atoms = "".join(f"Fe {atom / size} 0 0\n" for atom in range(size))
    return f"data_x\n{lengths}{ANGLES}_space_group_name_H-M_alt 'P 1'\n{LOOP}{atoms}"


SIZES = [1 + row % 5 for row in range(23)]
NAMES = [f"{row}.cif" for row in range(23)]
TEXTS = [cif(size) for size in SIZES]


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "CHUNK", 4)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_flat_arrays_are_those_of_the_files_one_by_one(workers: int) -> None:
    read = read_cifs(NAMES, TEXTS, workers=workers)
    assert read.ptr.tolist() == np.cumsum([0, *SIZES]).tolist()
    for row, text in enumerate(TEXTS):
        alone = read_cif(text, "alone")
        atoms = slice(read.ptr[row], read.ptr[row + 1])
        assert np.array_equal(read.numbers[atoms], alone.numbers)
        assert np.array_equal(read.positions[atoms], alone.positions)
        assert np.array_equal(read.cell[row], alone.cell)


def test_files_are_read_as_their_text(tmp_path: Path) -> None:
    for name, text in zip(NAMES, TEXTS, strict=True):
        (tmp_path / name).write_text(text)
    from_files, from_texts = read_cifs(NAMES, [tmp_path / name for name in NAMES]), read_cifs(NAMES, TEXTS)
    assert np.array_equal(from_files.numbers, from_texts.numbers)
    assert np.array_equal(from_files.positions, from_texts.positions)
    assert np.array_equal(from_files.cell, from_texts.cell)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_bad_file_is_the_one_that_is_named(workers: int) -> None:
    texts = [*TEXTS]
    texts[9], texts[20] = "", "data_x"
    with pytest.raises(DataError, match="9.cif: is empty"):
        read_cifs(NAMES, texts, workers=workers)


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone.cif: cannot be read \(No such file or directory\)"):
        read_cifs(["gone.cif"], [tmp_path / "gone.cif"])


def test_nothing_to_read_is_refused() -> None:
    with pytest.raises(DataError, match="there is no structure to read"):
        read_cifs([], [])


def test_labels_make_crystals_of_structures() -> None:
    crystals = read_cifs(NAMES, TEXTS).crystals(NAMES, {"size": np.array(SIZES, dtype=np.float64)})
    assert crystals.ids == tuple(NAMES)
    assert crystals.pbc.all()
    assert crystals.labels("size").tolist() == crystals.n_atoms.tolist()


SCRIPT = """
import sys
sys.path[:0] = {folders!r}
from test_parallel import NAMES, TEXTS
from gbench.reading import parallel
parallel.CHUNK, parallel.WORTH_A_PROCESS = 4, 8
parallel.read_cifs(NAMES, TEXTS, workers=1)
"""


def test_a_bar_is_shown_on_a_terminal_and_nothing_elsewhere() -> None:
    command = [sys.executable, "-c", SCRIPT.format(folders=[str(path) for path in Path(__file__).parents[:2]])]
    piped = subprocess.run(command, capture_output=True, check=True)
    assert piped.stderr == piped.stdout == b""
    assert waits_for(command, b"reading structures") == b""
