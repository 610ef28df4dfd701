"""A suite file means what ``gbench run`` means, line for line."""

from pathlib import Path

import pytest

from gbench.cards import Settings
from gbench.choices import Choices, resolve
from gbench.errors import GbenchError
from gbench.registry import model_card, own_model_names
from gbench.sweep.expand import Training, expand, parse_only
from gbench.sweep.suite import Suite, read_suite, suite_names


def suite(**content: object) -> Suite:
    return Suite.model_validate({"about": "a test", **content})


def trainings(**content: object) -> list[Training]:
    return expand(suite(**content))


def test_axes_are_multiplied_in_the_order_of_the_file() -> None:
    made = trainings(base={"split": "formula"}, vary={"model": ["dummy", "knn"], "fold": [1, 0]})
    assert [(t.spec.model, t.spec.split.fold) for t in made] == [
        ("dummy", 1), ("dummy", 0), ("knn", 1), ("knn", 0),
    ]  # fmt: skip
    expected = resolve(Choices(model="knn", split="formula", fold=1))
    assert made[2].spec == expected
    assert made[2].run_id == expected.run_id


def test_dotted_keys_are_settings_and_axes_too() -> None:
    made = trainings(base={"model": "cgcnn", "training.epochs": 3}, vary={"model.hidden": [8, 16]})
    assert [t.spec.config["hidden"] for t in made] == [8, 16]
    assert all(t.spec.training is not None and t.spec.training.epochs == 3 for t in made)


def test_an_axis_may_set_several_keys_at_once() -> None:
    points = [{"dataset": "pbe_prototypes", "target": "gap"}, {"dataset": "qm9_mini", "split": "formula"}]
    made = trainings(base={"model": "dummy"}, vary={"task": points})
    assert [(t.spec.dataset, t.spec.target, t.spec.split.scheme) for t in made] == [
        ("pbe_prototypes", "gap", "cluster"),
        ("qm9_mini", "gap", "formula"),
    ]


@pytest.mark.parametrize(
    "content", [{"base": {"fold": "all"}}, {"vary": {"fold": "all"}}, {"base": {"fold": [0, 1, 2, 3, 4]}}]
)
def test_all_folds_are_all_the_split_has(content: Settings) -> None:
    content = {**content, "base": {"model": "dummy", "split": "cluster", **content.get("base", {})}}
    assert [t.spec.split.fold for t in trainings(**content)] == [0, 1, 2, 3, 4]


def test_what_stands_above_the_blocks_holds_for_each() -> None:
    made = trainings(
        base={"split": "formula"},
        vary={"seed": [0, 1]},
        blocks=[{"base": {"model": "knn"}}, {"base": {"model": "dummy"}, "vary": {"seed": [5]}}],
    )
    assert [(t.spec.model, t.spec.split.scheme, t.spec.seed) for t in made] == [
        ("knn", "formula", 0), ("knn", "formula", 1), ("dummy", "formula", 5),
    ]  # fmt: skip


def test_a_run_that_is_asked_for_twice_is_one() -> None:
    assert len(trainings(base={"model": "dummy"}, vary={"seed": [0, 0]})) == 1


def test_excluded_lines_are_left_out() -> None:
    rules = [{"model": "knn", "fold": [0, 1]}, {"model": "dummy", "seed": 1}]
    made = trainings(vary={"model": ["dummy", "knn"], "fold": "all", "seed": [0, 1]}, exclude=rules)
    assert {(t.spec.model, t.spec.split.fold, t.spec.seed) for t in made} == {
        *(("dummy", fold, 0) for fold in range(5)),
        *(("knn", fold, seed) for fold in (2, 3, 4) for seed in (0, 1)),
    }


def test_a_line_that_is_excluded_need_not_make_sense() -> None:
    line = {"dataset": "vacancy_formation", "split": "formula"}
    rule = {"model": "mlp", "dataset": "vacancy_formation"}
    assert [t.spec.model for t in trainings(base=line, vary={"model": ["mlp", "dummy"]}, exclude=[rule])] == ["dummy"]
    with pytest.raises(GbenchError, match="'mlp' predicts at level graph.*in the line with .*model mlp"):
        trainings(base=line, vary={"model": ["mlp", "dummy"]})


def test_targets_learned_together_are_one_training() -> None:
    together, alone, other = trainings(base={"target": "e_form,gap"}, vary={"model": ["cgcnn", "dummy"]})
    assert [spec.target for spec in together.runs] == ["e_form", "gap"]
    assert {alone.spec.target, other.spec.target} == {"e_form", "gap"}
    assert len(alone.runs) == 1


def test_frameworks_are_those_of_the_flag() -> None:
    made = trainings(base={"model": "cgcnn"}, vary={"framework": ["pyg", "dgl"]})
    assert [t.spec.config["framework"] for t in made] == ["pyg", "dgl"]


class TestOnly:
    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["model=cgcnn"], {"model": ["cgcnn"]}),
            (["model=cgcnn,megnet,seed=0"], {"model": ["cgcnn", "megnet"], "seed": [0]}),
            (["seed=1", "fold=0,1"], {"seed": [1], "fold": [0, 1]}),
        ],
    )
    def test_words_are_keys_and_values(self, words: list[str], expected: Settings) -> None:
        assert parse_only(words) == expected

    def test_it_takes_the_runs_that_agree(self) -> None:
        whole = suite(vary={"model": ["dummy", "knn"], "fold": "all", "seed": [0, 1]})
        some = expand(whole, parse_only(["model=knn,fold=3,4,seed=1,dataset=pbe_prototypes,framework=scikit-learn"]))
        assert [(t.spec.model, t.spec.split.fold, t.spec.seed) for t in some] == [("knn", 3, 1), ("knn", 4, 1)]

    def test_what_it_cannot_find_it_names(self) -> None:
        whole = suite(vary={"model": ["dummy", "knn"]})
        with pytest.raises(GbenchError, match="--only model=cgcnn: no run of the suite is so; model: dummy, knn"):
            expand(whole, parse_only(["model=cgcnn"]))

    @pytest.mark.parametrize(("word", "message"), [("cgcnn", "write key=value"), ("modle=x", "did you mean 'model'")])
    def test_mistakes_are_named(self, word: str, message: str) -> None:
        with pytest.raises(GbenchError, match=message):
            parse_only([word])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- a", "a suite is a mapping"),
        ("a: [", "not valid YAML"),
        ("base: {model: dummy}", "'about' is missing"),
        ("about: x\nbase: {modle: dummy}", "no key 'modle'; did you mean 'model'"),
        ("about: x\nbase: {modle.hidden: 3}", "no key 'modle.hidden'"),
        ("about: x\nvary: {size: [1, 2]}", "no key 'size'"),
        ("about: x\nvary: {model: all}", "only fold may be"),
        ("about: x\nvary: {model: []}", "axis 'model' has no values"),
        ("about: x\nbase: {model: dummy}\nexclude: [{}]", "empty rule"),
        ("about: x\nbase: {seed: 1}", "names no model"),
        ("about: x\nbase: {model: dumy}", "no model 'dumy'; did you mean 'dummy'"),
        ("about: x\nbase: {model: dummy, seed: -1}", "seed: .*greater than or equal to 0"),
        ("about: x\nbase: {model: dummy, fold: one}", "fold one: give a number from 0"),
        ("about: x\nbase: {model: dummy}\nexclude: [{model: dummy}]", "leaves out everything"),
        ("about: x\nbase: {model: dummy, framework: jax}", "no framework 'jax'"),
    ],
)
def test_mistakes_end_in_one_sentence(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "suite.yaml").write_text(content)
    with pytest.raises(GbenchError, match=message):
        expand(read_suite(tmp_path / "suite.yaml"))


def test_an_unknown_suite_is_named() -> None:
    with pytest.raises(GbenchError, match="no suite 'smok'; did you mean 'smoke'"):
        read_suite("smok")


@pytest.mark.parametrize("name", suite_names())
def test_suites_that_come_with_gbench_can_be_read(name: str) -> None:
    assert len(read_suite(name).about) > 10


def test_the_main_table_has_every_model_on_every_task() -> None:
    # folds of datasets that have to be fetched are not counted here
    raw = read_suite("main")
    tasks = [{**task, "fold": 0} for task in raw.vary["task"] if isinstance(task, dict)]
    made = expand(raw.model_copy(update={"vary": {"task": tasks}}))
    levels = {"vacancy_formation": "node"}
    for dataset in ("pbe_prototypes", "matbench_phonons", "qm9_mini", "vacancy_formation"):
        able = {name for name in own_model_names() if levels.get(dataset, "graph") in model_card(name).levels}
        assert {t.spec.model for t in made if t.spec.dataset == dataset} == able
