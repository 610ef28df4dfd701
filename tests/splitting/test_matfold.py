"""The sets held out are those of MatFold 1.3.3 (https://doi.org/10.1039/D4DD00250D) on the same structures."""

import contextlib
import io
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Structure

from gbench.dataset import Dataset
from gbench.spec import MemberSplit
from gbench.splitting import fold_count, make_spec, make_split, schemes

SCHEMES = {
    "formula": "composition",
    "chemsys": "chemsys",
    "element": "elements",
    "periodic-row": "periodictablerows",
    "periodic-group": "periodictablegroups",
}
SYMMETRY = {"spacegroup": "sgnum", "point-group": "pointgroup", "crystal-system": "crystalsys"}
EVERY_NINTH = range(0, 1265, 9)


class Peer:
    """MatFold over a dataset."""

    def __init__(self, dataset: Dataset, folder: Path) -> None:
        from MatFold import MatFold

        crystals = dataset.crystals
        bulk = {name: crystals.to_pymatgen(row).as_dict() for row, name in enumerate(crystals.ids)}
        self.folder = folder
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.matfold = MatFold(pd.DataFrame({"id": list(crystals.ids)}), bulk)

    def held_out(self, kind: str, label: str) -> set[str]:
        """Ids of the test part when ``label`` is left out."""
        # it writes one of its files into a folder named by a label such as 2/m, but does not make the folder
        (self.folder / f"mf.{kind}.loo.{label}.json").parent.mkdir(exist_ok=True)
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.matfold.create_loo_split(kind, label, output_dir=str(self.folder))
        name = f"mf.{kind}.loo.{label.replace('/', '_')}.test.csv"
        return set(pd.read_csv(self.folder / name)["id"].astype(str))


def theirs(scheme: str, label: str) -> str:
    if scheme in ("periodic-row", "periodic-group"):
        return label.replace(" ", "")
    if scheme == "spacegroup":
        return re.sub(r" \(\d+\)$", "", label)
    return label.lower() if scheme == "crystal-system" else label


def compare(dataset: Dataset, peer: Peer, scheme: str, kind: str, at_most: int = 12) -> None:
    everything = {"min_share": 0.0, "max_share": 0.85}
    spec = make_spec(scheme, **(everything if issubclass(schemes()[scheme].spec, MemberSplit) else {"n_folds": "all"}))
    folds = fold_count(dataset, spec)
    assert folds > 1
    for fold in np.unique(np.linspace(0, folds - 1, at_most).astype(int)).tolist():
        split = make_split(dataset, spec.model_copy(update={"fold": fold}))
        (label,) = split.held_out
        ours = {dataset.crystals.ids[row] for row in split.test}
        assert ours == peer.held_out(kind, PEER_NAMES.get(kind, str)(theirs(scheme, label))), label


def _by_pymatgen(formula: str) -> str:
    from pymatgen.core import Composition

    return Composition(formula).reduced_formula


PEER_NAMES: dict[str, Callable[[str], str]] = {"composition": _by_pymatgen}


@pytest.fixture(scope="module")
def prototypes_peer(prototypes: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Peer:
    return Peer(prototypes, tmp_path_factory.mktemp("matfold"))


@pytest.mark.parametrize("scheme", [*SCHEMES, "spacegroup"])
def test_prototypes(scheme: str, prototypes: Dataset, prototypes_peer: Peer) -> None:
    compare(prototypes, prototypes_peer, scheme, {**SCHEMES, **SYMMETRY}[scheme])


@pytest.fixture(scope="module")
def sample(phonons: Dataset) -> Dataset:
    """Phonon crystals whose space group does not depend on the tolerance: MatFold's is 0.1 Å, ours 0.01 Å."""
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    crystals = phonons.crystals.take(EVERY_NINTH)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        structures = [crystals.to_pymatgen(row) for row in range(len(crystals))]
        numbers = [
            [SpacegroupAnalyzer(cast("Structure", structure), tol).get_space_group_number() for structure in structures]
            for tol in (0.1, 0.01)
        ]
    steady = np.flatnonzero(np.array(numbers[0]) == numbers[1])
    assert len(steady) > 120
    return Dataset(phonons.card, crystals.take(steady))


@pytest.fixture(scope="module")
def sample_peer(sample: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Peer:
    return Peer(sample, tmp_path_factory.mktemp("matfold"))


@pytest.mark.parametrize("scheme", [*SCHEMES, *SYMMETRY])
def test_phonons(scheme: str, sample: Dataset, sample_peer: Peer) -> None:
    compare(sample, sample_peer, scheme, {**SCHEMES, **SYMMETRY}[scheme])
