"""The table of elements agrees with pymatgen, and formulas with pymatgen's."""

import numpy as np
import pytest
from pymatgen.core import Element

from gbench.dataset import Dataset
from gbench.elements import element_property, reduced_formulas, symbols

NOBLE_WITHOUT_PAULING = {2, 10, 18}


@pytest.mark.filterwarnings("ignore:No Pauling electronegativity")
@pytest.mark.parametrize(
    ("name", "attribute"),
    [("electronegativity", "X"), ("group", "group"), ("period", "row"), ("mass", "atomic_mass"),
     ("mendeleev", "mendeleev_no"), ("ionization_energy", "ionization_energy")],
)  # fmt: skip
def test_properties_equal_pymatgens(name: str, attribute: str) -> None:
    for number, value in enumerate(element_property(name)[1:], start=1):
        if not (name == "electronegativity" and number in NOBLE_WITHOUT_PAULING):
            assert value == pytest.approx(float(getattr(Element.from_Z(number), attribute)), abs=1e-4)


def test_no_property_is_missing() -> None:
    assert len(symbols()) == 103
    assert np.isfinite(element_property("covalent_radius")[1:]).all()


def test_reduced_formulas_equal_pymatgens(prototypes: Dataset) -> None:
    rows = list(range(0, len(prototypes.crystals), 40))
    formulas = reduced_formulas(prototypes.crystals.take(rows))
    for row, formula in zip(rows, formulas, strict=True):
        assert formula == prototypes.crystals.to_pymatgen(row).composition.reduced_formula
