"""What every scheme obeys, and what each of them holds out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from gbench.choices import Choices, resolve, split_spec
from gbench.crystals import Crystals
from gbench.dataset import Dataset
from gbench.elements import counts, symbols
from gbench.errors import DataError, SpecError, SplitError, UnknownNameError
from gbench.spec import ExtremeSplit, GroupedSplit, MemberSplit, RunSpec, SplitSpec
from gbench.splitting import Split, fold_count, make_spec, make_split, schemes
from gbench.splitting.extremes import row_labels
from gbench.splitting.folds import extreme_fold, member_fold
from gbench.splitting.scheme import Members

FEW_GROUPS = {"n_folds": 2}
HERE = [name for name in schemes() if name != "official"]
SETTINGS = {"spacegroup": FEW_GROUPS, "prototype": FEW_GROUPS}
"""All of pbe_prototypes is cubic, in three space groups and six prototypes."""
TOO_FEW = {"crystal-system", "point-group"}
FOLD = {"periodic-row": 3}


def spec_of(name: str, **parameters: object) -> SplitSpec:
    return make_spec(name, **{**SETTINGS.get(name, {}), "fold": FOLD.get(name, 0), **parameters})


def sets_of(split: Split) -> list[set[int]]:
    return [set(part.tolist()) for part in (split.train, split.val, split.test)]


def shuffled(dataset: Dataset) -> tuple[Dataset, NDArray[np.int64]]:
    order = np.random.default_rng(3).permutation(len(dataset.crystals))
    return Dataset(dataset.card, dataset.crystals.take(order)), order


@pytest.mark.parametrize("name", [name for name in HERE if name not in TOO_FEW])
class TestScheme:
    def test_parts_are_disjoint_and_cover(self, name: str, prototypes: Dataset) -> None:
        train, val, test = sets_of(make_split(prototypes, spec_of(name)))
        assert train and val and test
        assert not train & val and not train & test and not val & test
        assert train | val | test == set(range(len(prototypes.crystals)))

    def test_it_is_deterministic(self, name: str, prototypes: Dataset) -> None:
        first, again = (make_split(prototypes, spec_of(name)).sha256 for _ in range(2))
        assert first == again

    def test_another_order_of_rows_is_the_same_split(self, name: str, prototypes: Dataset) -> None:
        other, order = shuffled(prototypes)
        ours, theirs = make_split(prototypes, spec_of(name)), make_split(other, spec_of(name))
        assert sets_of(ours) == [{int(order[row]) for row in part} for part in sets_of(theirs)]

    def test_groups_and_validation_are_pure(self, name: str, prototypes: Dataset) -> None:
        spec = spec_of(name)
        letters = np.array(list(make_split(prototypes, spec).code))
        if isinstance(spec, GroupedSplit):
            label = schemes()[name](prototypes, spec).label
            assert all(len(set(letters[label == group])) == 1 for group in np.unique(label))
        elif isinstance(spec, MemberSplit):
            table = schemes()[name](prototypes, spec).table
            held = [column for column in table.T if (letters[column] == "t").all() and column.any()]
            assert (np.any(held, axis=0) == (letters == "t")).all()
            # what validation was made of is nowhere in train
            inner = [column for column in table.T if column.any() and not (letters[column] == "r").any()]
            assert (letters[np.any(inner, axis=0)] != "r").all() and (np.any(inner, axis=0) | (letters == "r")).all()
        else:
            score = schemes()[name](prototypes, spec)
            assert score[letters == "t"].min() > score[letters == "v"].max() >= score[letters == "v"].min()
            assert score[letters == "v"].min() > score[letters == "r"].max()

    def test_its_spec_survives_json(self, name: str) -> None:
        run = resolve(Choices(model="dummy", split=name))
        again = RunSpec.model_validate_json(run.model_dump_json())
        assert again == run and again.run_id == run.run_id
        assert type(again.split) is schemes()[name].spec

    def test_every_fold_exists_and_no_other(self, name: str, prototypes: Dataset) -> None:
        spec = spec_of(name, fold=0)
        folds = fold_count(prototypes, spec)
        with pytest.raises(SplitError, match=f"fold {folds} does not exist; folds run from 0 to {folds - 1}"):
            make_split(prototypes, spec.model_copy(update={"fold": folds}))

    def test_it_says_what_it_holds_out(self, name: str) -> None:
        assert schemes()[name].about.endswith(".") or ":" in schemes()[name].about
        assert "\n" not in schemes()[name].about


def test_each_group_is_a_fold_when_one_is_left_out(prototypes: Dataset) -> None:
    spec = make_spec("prototype", n_folds="all")
    assert fold_count(prototypes, spec) == 6
    sizes = sorted(len(make_split(prototypes, spec.model_copy(update={"fold": fold})).test) for fold in range(6))
    assert sizes == sorted([237, 180, 138, 135, 93, 45])


@pytest.mark.parametrize("name", ["formula", "cluster", "element", "official"])
def test_inner_folds_share_the_training_side(name: str, prototypes: Dataset, request: pytest.FixtureRequest) -> None:
    dataset = request.getfixturevalue("phonons") if name == "official" else prototypes
    splits = [make_split(dataset, make_spec(name, fold=1, n_inner=4, inner=inner)) for inner in range(4)]
    assert len({split.test.tobytes() for split in splits}) == 1
    validations = [set(split.val.tolist()) for split in splits]
    if name != "element":
        inner = set(range(len(dataset.crystals))) - set(splits[0].test.tolist())
        assert sum(map(len, validations)) == len(inner) and set.union(*validations) == inner
    else:
        assert len(set(map(frozenset, validations))) == 4


def test_elements_are_held_out_whole(prototypes: Dataset) -> None:
    spec = make_spec("element")
    table = counts(prototypes.crystals)[:, 1:] > 0
    for fold in range(0, fold_count(prototypes, spec), 7):
        split = make_split(prototypes, spec.model_copy(update={"fold": fold}))
        (name,) = split.held_out
        contains = table[:, symbols().index(name)]
        assert (np.flatnonzero(contains) == split.test).all()


def test_chosen_elements_can_be_held_out_together(prototypes: Dataset) -> None:
    split = make_split(prototypes, make_spec("element", hold=["Na", "F"]))
    table = counts(prototypes.crystals) > 0
    assert (np.flatnonzero(table[:, 11] | table[:, 9]) == split.test).all()
    with pytest.raises(SplitError, match="no row contains 'Xe'; known: Li, Be, "):
        make_split(prototypes, make_spec("element", hold=["Xe"]))


def test_periodic_table_schemes_hold_out_rows_and_groups(prototypes: Dataset) -> None:
    split = make_split(prototypes, make_spec("periodic-group", hold=["group 17"]))
    halogens = np.isin(np.arange(104), [9, 17, 35, 53])
    assert (np.flatnonzero((counts(prototypes.crystals)[:, halogens] > 0).any(axis=1)) == split.test).all()


def test_extrapolation_trains_below_what_it_tests(prototypes: Dataset) -> None:
    label = prototypes.labels("e_form")
    high = make_split(prototypes, make_spec("extrapolation"))
    low = make_split(prototypes, make_spec("extrapolation", tail="low"))
    both = make_split(prototypes, make_spec("extrapolation", tail="both", test_share=0.3))
    assert label[high.test].min() > label[high.train].max()
    assert label[low.test].max() < label[low.train].min()
    middle = np.median(label)
    assert (label[both.test] > middle).any() and (label[both.test] < middle).any()
    assert 0.28 < len(both.test) / 828 < 0.32


def test_a_scheme_that_looks_at_the_target_knows_which(prototypes: Dataset) -> None:
    runs = [resolve(Choices(model="dummy", split="extrapolation", target=target)) for target in ("e_form", "gap")]
    assert [run.split.model_dump()["target"] for run in runs] == ["e_form", "gap"]
    first, second = (make_split(prototypes, run.split).sha256 for run in runs)
    assert first != second
    assert split_spec("sparse-y", {}, target="gap").model_dump()["target"] == "gap"
    assert "target" not in split_spec("formula", {}, target="gap").model_dump()


def test_labels_of_sites_count_for_their_crystal(prototypes: Dataset) -> None:
    means = row_labels(prototypes, "hirshfeld")
    first = prototypes.crystals.node_targets["hirshfeld"][: prototypes.crystals.ptr[1]]
    assert means[0] == pytest.approx(first.mean())


def test_sparse_y_tests_the_rare_values(prototypes: Dataset) -> None:
    split = make_split(prototypes, make_spec("sparse-y"))
    label = prototypes.labels("e_form")
    edges = np.histogram_bin_edges(label, 12)
    common = np.histogram(label[split.train], edges)[0]
    rare = np.histogram(label[split.test], edges)[0]
    assert (common[rare > 0].mean() < common[rare == 0].mean()) or not (rare == 0).any()


def test_large_cells_are_tested_on_small_ones(phonons: Dataset) -> None:
    split = make_split(phonons, make_spec("size"))
    atoms = phonons.crystals.n_atoms
    assert atoms[split.test].min() > atoms[split.val].max() >= atoms[split.val].min() > atoms[split.train].max()


def test_a_cell_of_one_size_cannot_be_cut(prototypes: Dataset) -> None:
    same = Dataset(prototypes.card, prototypes.crystals.take(np.flatnonzero(prototypes.crystals.n_atoms == 2)))
    with pytest.raises(SplitError, match="share the most extreme values"):
        make_split(same, make_spec("size"))


def test_too_few_groups_are_refused_with_the_fix(prototypes: Dataset) -> None:
    with pytest.raises(SplitError, match=r"split crystal-system: 1 groups cannot fill 5 folds"):
        make_split(prototypes, make_spec("crystal-system"))


def test_something_in_all_rows_cannot_be_held_out() -> None:
    table = np.ones((50, 2), bool)
    table[:1, 1] = False
    with pytest.raises(SplitError, match="x: Fe is in 100% of rows; nothing to train on"):
        member_fold(Members(("Fe", "O"), table), MemberSplit(hold=("Fe",)), "x")
    with pytest.raises(SplitError, match=r"nothing is in 1% to 50% of rows \(Fe is in 100%"):
        member_fold(Members(("Fe", "O"), table), MemberSplit(), "x")


def test_molecules_have_no_space_group(prototypes: Dataset) -> None:
    water = Crystals.build([{"id": "water", "numbers": [8, 1, 1], "positions": np.eye(3), "cell": None}] * 1)
    with pytest.raises(DataError, match="'water' is a molecule"):
        make_split(Dataset(prototypes.card, water), make_spec("spacegroup"))


def test_parameters_that_do_not_exist_or_fit_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"no split setting 'n_cluster'; did you mean 'n_clusters'"):
        split_spec("cluster", {"split.n_cluster": 3})
    with pytest.raises(SpecError, match="n_clusters"):
        split_spec("cluster", {"split.n_clusters": 1})
    with pytest.raises(UnknownNameError, match=r"no split 'clusters'; did you mean 'cluster'"):
        split_spec("clusters", {})
    with pytest.raises(ValidationError, match="inner fold 4 needs split.n_inner above it"):
        make_spec("random", n_inner=3, inner=4)


@settings(max_examples=150, deadline=None)
@given(
    values=st.lists(st.integers(0, 12), min_size=30, max_size=150),
    test_share=st.floats(0.1, 0.4),
    val_share=st.floats(0.05, 0.4),
)
def test_extremes_are_cut_at_a_value(values: list[int], test_share: float, val_share: float) -> None:
    score = np.array(values, float)
    try:
        split = extreme_fold(score, ExtremeSplit(test_share=test_share, val_share=val_share), "x")
    except SplitError as error:
        assert "x: " in str(error)
        return
    assert score[split.test].min() > score[split.val].max()
    assert score[split.val].min() > score[split.train].max()
    assert len(split.test) <= 2 * test_share * len(score)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.sets(st.integers(0, 9), min_size=1, max_size=4), min_size=30, max_size=120),
    fold=st.integers(0, 9),
    seed=st.integers(0, 99),
)
def test_what_is_held_out_is_nowhere_else(rows: list[set[int]], fold: int, seed: int) -> None:
    table = np.array([[place in row for place in range(10)] for row in rows])
    members = Members(tuple("abcdefghij"), table)
    try:
        split = member_fold(members, MemberSplit(fold=fold, seed=seed), "x")
    except SplitError:
        return
    place = "abcdefghij".index(split.held_out[0])
    assert set(np.flatnonzero(table[:, place])) == set(split.test)
    outside_train = np.concatenate([split.val, split.test])
    only_outside = [p for p in range(10) if table[outside_train, p].any() and not table[split.train, p].any()]
    assert (table[outside_train][:, only_outside].any(axis=1)).all()
