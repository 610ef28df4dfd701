"""A CIF is read as its authors meant it, or refused in one sentence."""

import math
import re
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifParser, CifWriter

from gbench.dataset import Dataset
from gbench.errors import DataError, GbenchError
from gbench.reading.cell import cell_matrix, cosine
from gbench.reading.cif import CifCrystal, read_cif

CUBIC = "_cell_length_a {a}\n_cell_length_b {a}\n_cell_length_c {a}\n" + "".join(
    f"_cell_angle_{name} 90\n" for name in ("alpha", "beta", "gamma")
)
LOOP = "loop_\n_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
P1 = "_space_group_name_H-M_alt 'P 1'\n"
CSCL = f"data_CsCl\n{CUBIC.format(a=4.12)}{P1}{LOOP}Cs1 Cs 0 0 0\nCl1 Cl 0.5 0.5 0.5\n"
HEXAGONAL = "".join(
    f"_cell_{key} {value}\n"
    for key, value in {
        "length_a": 3.25, "length_b": 3.25, "length_c": 5.2, "angle_alpha": 90, "angle_beta": 90, "angle_gamma": 120,
    }.items()
)  # fmt: skip
WURTZITE = f"data_ZnO\n{HEXAGONAL}_symmetry_space_group_name_H-M 'P 63 m c'\n{LOOP}"


def refused(text: str, match: str) -> None:
    with pytest.raises(DataError, match=match) as caught:
        read_cif(text, "bad.cif")
    assert str(caught.value).startswith("bad.cif: ")
    assert "\n" not in str(caught.value)


def as_pymatgen(crystal: CifCrystal) -> Structure:
    return Structure(Lattice(crystal.cell), crystal.numbers.tolist(), crystal.positions, coords_are_cartesian=True)


def test_a_file_without_symmetry_keeps_its_atoms_and_their_order() -> None:
    crystal = read_cif(CSCL, "CsCl.cif")
    assert crystal.numbers.tolist() == [55, 17]
    assert crystal.positions.tolist() == [[0, 0, 0], [2.06, 2.06, 2.06]]
    assert np.array_equal(crystal.cell, 4.12 * np.eye(3))


def test_atoms_outside_the_cell_stay_where_the_file_puts_them() -> None:
    crystal = read_cif(CSCL.replace("0.5 0.5 0.5", "-0.5 1.5 2.5"), "x.cif")
    assert crystal.positions[1].tolist() == pytest.approx([-2.06, 6.18, 10.3])


@pytest.mark.parametrize(
    ("group", "sites", "count"),
    [
        ("F m -3 m", [("Na", 0, 0, 0), ("Cl", 0.5, 0, 0)], 8),
        ("F d -3 m:1", [("C", 0, 0, 0)], 8),
        ("F d -3 m:2", [("C", 0.125, 0.125, 0.125)], 8),
        ("P m -3 m", [("Ti", 0.5, 0.5, 0.5), ("Ba", 0, 0, 0), ("O", 0.5, 0.5, 0)], 5),
        ("I a -3 d", [("Y", 0.125, 0, 0.25), ("Fe", 0, 0, 0), ("O", -0.027, 0.057, 0.149)], 136),
    ],
)  # fmt: skip
def test_symmetry_is_expanded_as_pymatgen_does(
    group: str, sites: list[tuple[str, float, float, float]], count: int
) -> None:
    atoms = "".join(f"{symbol}{row} {symbol} {x} {y} {z}\n" for row, (symbol, x, y, z) in enumerate(sites))
    ours = read_cif(f"data_x\n{CUBIC.format(a=9.0)}_space_group_name_H-M_alt '{group}'\n{LOOP}{atoms}", "x.cif")
    known, where = ("Fd-3m", [[0, 0, 0]]) if ":" in group else (group, [site[1:] for site in sites])
    theirs = Structure.from_spacegroup(known, Lattice.cubic(9.0), [site[0] for site in sites], where)
    assert len(ours.numbers) == count == len(theirs)
    mine, other = np.sort(as_pymatgen(ours).distance_matrix, axis=None), np.sort(theirs.distance_matrix, axis=None)
    assert mine == pytest.approx(other, abs=1e-6)


@pytest.mark.parametrize("third", ["0.3333", "0.33333", "0.333", "0.333333333(3)"])
def test_rounded_special_positions_are_one_atom(third: str) -> None:
    two = f"{1 - float(third.partition('(')[0]):.9g}"
    crystal = read_cif(f"{WURTZITE}Zn1 Zn {third} {two} 0\nO1 O {third} {two} 0.382\n", "ZnO.cif")
    assert crystal.numbers.tolist() == [30, 30, 8, 8]


def test_what_pymatgen_writes_with_symmetry_is_read_back(phonons: Dataset, rng: np.random.Generator) -> None:
    """Real crystals of many space groups, listed as their asymmetric unit and all operations."""
    numbers = set()
    for row in rng.choice(len(phonons.crystals), 80, replace=False):
        structure = phonons.crystals.to_pymatgen(int(row))
        assert isinstance(structure, Structure)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = str(CifWriter(structure, symprec=0.01, significant_figures=8))
            theirs = CifParser.from_str(text).parse_structures(primitive=False)[0]
        ours = as_pymatgen(read_cif(text, f"{row}.cif"))
        numbers.add(re.search(r"Int_Tables_number\s+(\d+)", text)[1])  # type: ignore[index]
        assert ours.composition == theirs.composition
        mine, other = (np.sort(structure.distance_matrix, axis=None) for structure in (ours, theirs))
        assert mine == pytest.approx(other, abs=1e-4)
    assert len(numbers) > 20


def test_listed_operations_come_before_the_name() -> None:
    listed = "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'-x,-y,-z'\n"
    text = CSCL.replace(P1, "_symmetry_space_group_name_H-M 'P -1'\n" + listed).replace("0.5 0.5 0.5", "0.2 0.3 0.4")
    assert read_cif(text, "x.cif").numbers.tolist() == [55, 17, 17]


def test_elements_are_read_from_charged_symbols_and_from_labels() -> None:
    assert read_cif(CSCL.replace("Cs1 Cs", "Cs1 Cs1+").replace("Cl1 Cl", "Cl1 CL-"), "x").numbers.tolist() == [55, 17]
    labels = CSCL.replace("_atom_site_type_symbol\n", "").replace("Cs1 Cs", "OW1").replace("Cl1 Cl", "Cl1A")
    assert read_cif(labels, "x").numbers.tolist() == [8, 17]
    refused(labels.replace("OW1", "CA1"), "site 'CA1' may be C or Ca; name its element")


def test_a_lone_atom_needs_no_loop() -> None:
    text = f"data_Po\n{CUBIC.format(a=3.3)}{P1}_atom_site_label Po\n" + "".join(
        f"_atom_site_fract_{axis} 0\n" for axis in "xyz"
    )
    assert read_cif(text, "Po.cif").numbers.tolist() == [84]


def test_the_cell_convention_is_a_along_x_and_b_in_the_plane() -> None:
    cell = cell_matrix((3, 4, 5), (70, 80, 100))
    assert cell[0].tolist() == [3, 0, 0]
    assert cell[1, 2] == 0
    assert np.linalg.det(cell) > 0
    assert Lattice(cell).parameters == pytest.approx((3, 4, 5, 70, 80, 100))


@given(st.floats(0, 180))
@example(45.0)
@example(135.0)
def test_cosines_are_right_to_the_last_digits(degrees: float) -> None:
    # the angle in radians is rounded before its cosine is taken: what it is compared with is off by up to 5e-16
    assert cosine(degrees) == pytest.approx(math.cos(math.radians(degrees)), abs=1e-15)


def test_cosines_of_crystallographic_angles_are_exact() -> None:
    assert [cosine(angle) for angle in (0, 60, 90, 120, 180)] == [1, 0.5, 0, -0.5, -1]


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("_cell_length_b 4.12\n", "", "has no cell: _cell_length_b is missing"),
        ("_cell_length_b 4.12", "_cell_length_b ?", r"_cell_length_b is \?, not a number"),
        ("_cell_length_b 4.12", "_cell_length_b 0", "cell lengths 4.12, 0, 4.12; each must be positive"),
        ("gamma 90", "gamma 190", "cell angles 90, 90, 190; each must be between 0 and 180"),
        ("gamma 90", "gamma 180", "each must be between 0 and 180"),
        ("alpha 90\n_cell_angle_beta 90", "alpha 150\n_cell_angle_beta 20", "which no cell of finite volume can have"),
        (P1, "", "states no symmetry; add _space_group_name_H-M_alt 'P 1'"),
        ("P 1", "P 99", "says space group 'P 99', which is not known"),
        ("P 1", "F d -3 m", "not which of its two origins"),
        (P1, "_space_group_IT_number 231\n", "space group number '231'; numbers run from 1 to 230"),
        ("P 1", "P 63 m c", "does not have the symmetry of its space group"),
        (P1, "_space_group_symop_operation_xyz x,y,q\n", "symmetry operation 'x,y,q', which is not understood"),
        (P1, "_space_group_symop_operation_xyz x,x,z\n", "which changes volumes"),
        (P1, "loop_\n_space_group_symop_operation_xyz\nx,y,z\nx-y,y,z\n", "do not form a group"),
        (P1, "_space_group_symop_operation_xyz x,y,z\n_space_group_IT_number 225\n", "identity as its only .* '225'"),
        ("Cl1 Cl 0.5 0.5 0.5", "Cl1 Cl 0 1 0.001", r"sites 'Cs1' and 'Cl1' \(atoms 0 and 1\) lie on one place"),
        ("Cl1 Cl", "Xx1 Xx", "site 'Xx1' has element 'Xx', which is none of H to Lr"),
        ("Cl1 Cl", "D1 D", "site 'D1' is the hydrogen isotope D; write H"),
        ("Cl 0.5 0.5", "Cl 0.5 ?", r"site 'Cl1' has _atom_site_fract_y \?, not a number"),
        ("Cl 0.5 0.5", "Cl 0.5 1e999", "site 'Cl1' has _atom_site_fract_y 1e999, not a number"),
        ("_atom_site_fract_z", "_atom_site_Cartn_z", "has atoms without _atom_site_fract_z"),
        ("_atom_site_fract_", "_atom_site_Cartn_", "has no atoms with fractional coordinates"),
        (" 0.5\n", "\n", "line 9 is not CIF"),
        ("data_CsCl\n", "", "line 1 is not CIF"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_by_name(old: str, new: str, match: str) -> None:
    assert old in CSCL
    refused(CSCL.replace(old, new), match)


def test_partial_occupancy_is_refused_by_site() -> None:
    text = CSCL.replace(LOOP, LOOP + "_atom_site_occupancy\n").replace("0 0 0\n", "0 0 0 1\n")
    refused(
        text.replace("0.5 0.5 0.5", "0.5 0.5 0.5 0.5(1)"), r"site 'Cl1' has occupancy 0.5\(1\); only fully occupied"
    )
    assert len(read_cif(text.replace("0.5 0.5 0.5", "0.5 0.5 0.5 1.00(1)"), "x").numbers) == 2


def test_two_atoms_on_one_site_are_found_in_large_cells() -> None:
    grid = "".join(f"C{i} C {(i % 10) / 10} {(i // 10 % 10) / 10} {i // 100 / 10}\n" for i in range(1000))
    text = f"data_C\n{CUBIC.format(a=20)}{P1}{LOOP}{grid}"
    assert len(read_cif(text, "x").numbers) == 1000
    refused(text + "C1000 C 0.499 0.999 0.9999\n", r"sites 'C5' and 'C1000' \(atoms 5 and 1000\) lie on one place")


def test_several_structures_in_a_file_are_refused() -> None:
    refused(CSCL + CSCL.replace("data_CsCl", "data_two"), "holds 2 structures; write one per file")


@pytest.mark.parametrize("text", ["", "data_x", "\0", "data_é", "loop_", "\ud800", "data_x _y 'é"])
def test_what_is_no_cif_is_refused(text: str) -> None:
    refused(text, r"bad\.cif: ")


PIECES = [
    *CSCL.split("\n"),
    *("0.5", "?", ".", "nan", "1e999", "'", '"', ";", "loop_", "data_", "_", "#", "'x,y,z'"),
    *("'F m -3 m'", "R-3m", "-1", "é", "\0", "Zn2+"),
]


@settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.text(), st.lists(st.sampled_from(PIECES)).map("\n".join), st.lists(st.sampled_from(PIECES)).map(" ".join)
    )
)
def test_any_text_gives_a_crystal_or_one_sentence(text: str) -> None:
    never_a_traceback(text)


@settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(CSCL)), st.integers(0, 20), st.one_of(st.text(max_size=8), st.sampled_from(PIECES)))
def test_any_damage_gives_a_crystal_or_one_sentence(start: int, length: int, text: str) -> None:
    never_a_traceback(CSCL[:start] + text + CSCL[start + length :])


def never_a_traceback(text: str) -> None:
    try:
        crystal = read_cif(text, "fuzz.cif")
    except GbenchError as error:
        assert str(error).startswith("fuzz.cif: ")
    else:
        assert len(crystal.numbers) == len(crystal.positions) > 0
        assert np.isfinite(crystal.positions).all()
        assert np.linalg.det(crystal.cell) > 0
