"""Splits cover, do not overlap, keep groups together, and are the same everywhere."""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold

from gbench.content import content
from gbench.dataset import Dataset
from gbench.elements import reduced_formulas
from gbench.errors import SplitError
from gbench.frozen import freeze, frozen_path, get_split, read_frozen
from gbench.spec import GroupedSplit, SplitSpec
from gbench.splitting import Split, make_spec, make_split, schemes
from gbench.splitting.folds import MIN_TRAIN_SHARE, grouped_fold
from gbench.splitting.scheme import Groups

SCHEMES = [make_spec("random"), make_spec("formula"), make_spec("cluster")]


@settings(max_examples=100, deadline=None)
@given(
    groups=st.lists(st.integers(0, 30), min_size=40, max_size=120).map(np.array),
    folds=st.integers(2, 6),
    share=st.floats(0.05, 0.4),
    seed=st.integers(0, 1000),
)
def test_grouped_folds_obey_the_laws(groups: np.ndarray, folds: int, share: float, seed: int) -> None:
    groups = np.unique(groups, return_inverse=True)[1]
    spec = GroupedSplit(n_folds=folds, val_share=share, seed=seed)
    largest = np.bincount(groups).max()
    # a fold's training side holds at least this many rows; one group must not fill it but for the validation share
    room = (1 - share) * (len(groups) - largest) / 2 - MIN_TRAIN_SHARE * len(groups)
    assume(groups.max() >= folds + 2 and largest < room)
    tested = np.zeros(len(groups), int)
    for fold in range(folds):
        split = grouped_fold(Groups(groups), spec.model_copy(update={"fold": fold}), "x")
        parts = [split.train, split.val, split.test]
        assert sorted(np.concatenate(parts).tolist()) == list(range(len(groups)))
        owners = [set(groups[part].tolist()) for part in parts]
        assert not owners[0] & owners[1] and not owners[0] & owners[2] and not owners[1] & owners[2]
        assert all(len(part) for part in parts)
        tested[split.test] += 1
    assert (tested == 1).all()


def test_a_group_that_fills_the_training_side_is_refused() -> None:
    groups = np.array([0] * 36 + [1, 2, 3, 4])
    with pytest.raises(SplitError, match="leaves train empty"):
        grouped_fold(Groups(groups), GroupedSplit(n_folds=2, fold=1, val_share=0.25), "x")


@pytest.mark.parametrize("spec", SCHEMES, ids=lambda spec: spec.scheme)
class TestScheme:
    def test_it_is_deterministic(self, prototypes: Dataset, spec: SplitSpec) -> None:
        assert make_split(prototypes, spec).sha256 == make_split(prototypes, spec).sha256

    def test_another_seed_is_another_split(self, prototypes: Dataset, spec: SplitSpec) -> None:
        other = spec.model_copy(update={"seed": 1})
        assert make_split(prototypes, other).sha256 != make_split(prototypes, spec).sha256

    def test_groups_stay_together(self, prototypes: Dataset, spec: SplitSpec) -> None:
        groups = schemes()[spec.scheme](prototypes, spec).label
        split = make_split(prototypes, spec)
        letters = np.array(list(split.code))
        for group in np.unique(groups):
            assert len(set(letters[groups == group])) == 1

    def test_sizes_are_near_what_was_asked(self, prototypes: Dataset, spec: SplitSpec) -> None:
        for fold in range(5):
            split = make_split(prototypes, spec.model_copy(update={"fold": fold}))
            assert 0.15 < len(split.test) / 828 < 0.25
            assert 0.09 < len(split.val) / (828 - len(split.test)) < 0.25

    def test_the_frozen_file_is_what_is_computed(self, prototypes: Dataset, spec: SplitSpec) -> None:
        for fold in range(5):
            numbered = spec.model_copy(update={"fold": fold})
            frozen = get_split(prototypes, numbered)
            assert frozen.frozen
            assert frozen.sha256 == make_split(prototypes, numbered).sha256


def test_grouped_schemes_hold_out_no_known_formula_and_random_does(prototypes: Dataset) -> None:
    formulas = np.array(reduced_formulas(prototypes.crystals))

    def shared(spec: SplitSpec) -> float:
        split = make_split(prototypes, spec)
        return float(np.isin(formulas[split.test], formulas[split.train]).mean())

    assert shared(make_spec("formula")) == shared(make_spec("cluster")) == 0
    assert shared(make_spec("random")) > 0.8


def test_fold_sizes_are_as_even_as_scikit_learns(prototypes: Dataset) -> None:
    groups = schemes()["formula"](prototypes, make_spec("formula")).label
    ours = [len(make_split(prototypes, make_spec("formula", fold=fold)).test) for fold in range(5)]
    theirs = [len(test) for _, test in GroupKFold(5).split(groups, groups=groups)]
    assert sorted(ours) == sorted(theirs)


def test_official_folds_are_the_published_ones(phonons: Dataset, mirror: Path) -> None:
    published = json.loads(gzip.decompress((mirror / "matbench_v0.1_results/cgcnnv2019.results.json.gz").read_bytes()))
    results = published["tasks"]["matbench_phonons"]["results"]
    for fold in range(5):
        split = get_split(phonons, make_spec("official", fold=fold))
        assert {phonons.crystals.ids[row] for row in split.test} == set(results[f"fold_{fold}"]["data"])
        assert split.frozen
        assert split.sha256 == make_split(phonons, make_spec("official", fold=fold)).sha256


def test_other_parameters_are_computed(prototypes: Dataset) -> None:
    split = get_split(prototypes, make_spec("cluster", n_clusters=20))
    assert not split.frozen
    assert split.sha256 != get_split(prototypes, make_spec("cluster")).sha256


def test_the_code_gives_back_the_split(prototypes: Dataset) -> None:
    split = make_split(prototypes, make_spec("random"))
    again = Split.from_code(split.code)
    for part in ("train", "val", "test"):
        np.testing.assert_array_equal(getattr(again, part), getattr(split, part))


def test_leaving_one_cluster_out_is_a_fold_per_cluster(prototypes: Dataset) -> None:
    spec = make_spec("cluster", n_folds=10)
    groups = schemes()["cluster"](prototypes, spec).label
    for fold in range(10):
        split = make_split(prototypes, spec.model_copy(update={"fold": fold}))
        assert len(set(groups[split.test])) == 1
        assert len(set(groups[split.train])) >= 7


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (make_spec("random", fold=5), "fold 5 does not exist; folds run from 0 to 4"),
        (make_spec("cluster", n_clusters=900), "fewer than split.n_clusters=900"),
        (make_spec("cluster", n_clusters=3), "3 groups cannot fill 5 folds .* would leave train empty"),
        (make_spec("cluster", n_clusters=6, val_share=0.99), "leaves train empty"),
        (make_spec("official"), "pbe_prototypes has no official folds; use --split cluster"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_splits_that_cannot_be_made_say_why(prototypes: Dataset, spec: SplitSpec, message: str) -> None:
    with pytest.raises(SplitError, match=message):
        make_split(prototypes, spec)


class TestFrozenFile:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        copied = frozen_path("pbe_prototypes", "random", tmp_path)
        copied.parent.mkdir()
        shutil.copy(content("splits") / "pbe_prototypes" / "random.json", copied)
        return copied

    def alter(self, path: Path, old: str, new: str) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def test_freezing_writes_what_is_committed(self, prototypes: Dataset, tmp_path: Path) -> None:
        written = freeze(prototypes, make_spec("random"), tmp_path)
        committed = read_frozen(content("splits") / "pbe_prototypes" / "random.json", prototypes)
        # compressed bytes may differ between releases of zlib, what they hold may not
        assert [fold.split().code for fold in read_frozen(written, prototypes).folds] == [
            fold.split().code for fold in committed.folds
        ]

    def test_another_dataset_version_is_refused(self, prototypes: Dataset, path: Path) -> None:
        self.alter(path, prototypes.sha256, "0" * 64)
        with pytest.raises(SplitError, match="made for pbe_prototypes@1 .*freeze the split anew"):
            read_frozen(path, prototypes)

    def test_a_moved_row_is_noticed(self, prototypes: Dataset, path: Path) -> None:
        self.alter(path, '"parts": "eN', '"parts": "eM')
        with pytest.raises(SplitError, match="fold . is damaged"):
            read_frozen(path, prototypes)

    def test_a_truncated_file_is_refused(self, prototypes: Dataset, path: Path) -> None:
        path.write_text(path.read_text()[:-100])
        with pytest.raises(SplitError, match="not valid JSON"):
            read_frozen(path, prototypes)
