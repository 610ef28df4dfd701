"""The commands, as a person and a program meet them."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gbench.choices import Choices, resolve
from gbench.cli import main
from gbench.dataset import Dataset
from gbench.result import Result

MAIN = [sys.executable, "-c", "from gbench.cli import main; main()"]
TINY = ["--set", "training.epochs=2", "--set", "model.hidden=8", "--no-tracking"]


def gbench(*arguments: str, cwd: Path | None = None, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*MAIN, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "120", **environment},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def printed(folder: Path) -> str:
    """What a run prints where there is no terminal."""
    done = gbench("run", "--model", "cgcnn", "--split", "formula", *TINY, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


class TestRun:
    def test_it_says_what_it_does_and_ends_with_the_table(self, printed: str) -> None:
        for fact in (
            "pbe_prototypes@1 / e_form (eV/atom)   828 crystals, 44 elements",
            "formula (fold 0)",
            "radius 5.0 Å",
            "receptive field 3 x 5.0 Å",
            "train    2/2 epochs   val MAE",
            "test scores in eV/atom",
            "95 % interval",
            "errata  33 flagged of 828 rows   gbench datasets info pbe_prototypes",
        ):
            assert fact in printed
        assert all(f"\n{name} " in printed for name in ("cgcnn", "trees", "knn", "dummy"))

    def test_it_says_where_the_result_is_and_how_to_get_it_again(self, printed: str, folder: Path) -> None:
        (line,) = [line for line in printed.splitlines() if line.startswith("result")]
        assert (folder / line.split()[1]).is_file()
        (again,) = [line for line in printed.splitlines() if line.startswith("again")]
        repeated = gbench(*again.split()[2:], "--json", "--no-tracking", cwd=folder)
        assert json.loads(repeated.stdout)["run_id"] == Path(line.split()[1]).parent.name

    def test_json_is_the_result_and_nothing_else(self, folder: Path) -> None:
        done = gbench("run", "--model", "cgcnn", "--split", "formula", *TINY, "--json", cwd=folder)
        result = Result.model_validate_json(done.stdout)
        assert set(json.loads(done.stdout)["metrics"]["mae"]) >= {"value", "unit", "low", "high"}
        assert result.metrics["mae"].unit == "eV/atom"
        assert done.stderr == ""

    def test_a_spec_file_or_run_id_repeats_a_run(self, folder: Path, printed: str) -> None:
        run_id = next(line for line in printed.splitlines() if line.startswith("result")).split("/")[1]
        by_id = gbench("run", "--spec", run_id, "--json", "--no-tracking", cwd=folder)
        by_file = gbench("run", "--spec", f"results/{run_id}/spec.json", "--json", "--no-tracking", cwd=folder)
        assert json.loads(by_id.stdout)["run_id"] == json.loads(by_file.stdout)["run_id"] == run_id

    def test_all_folds_end_in_their_mean(self, folder: Path) -> None:
        done = gbench("run", "--model", "dummy", "--split", "formula", "--fold", "all", "--no-tracking", cwd=folder)
        assert "5 folds   test MAE" in done.stdout
        listed = gbench("run", "--model", "dummy", "--split", "formula", "--fold", "all", "--json", cwd=folder)
        assert [entry["spec"]["split"]["fold"] for entry in json.loads(listed.stdout)] == [0, 1, 2, 3, 4]

    def test_targets_learned_together_have_a_table_each(self, folder: Path) -> None:
        arguments = ["run", "--model", "cgcnn", "--target", "gap, e_form", "--split", "formula", *TINY]
        shown = gbench(*arguments, cwd=folder).stdout
        for fact in (
            "pbe_prototypes@1 / e_form (eV/atom), gap (eV)   828 crystals",
            "val mean scaled MAE",
            "MAE e_form ",
            "e_form, learned with gap: test scores in eV/atom",
            "gap, learned with e_form: test scores in eV",
            "--target gap,e_form",
        ):
            assert fact in shown
        assert shown.count("\ntrees ") == 2
        made = json.loads(gbench(*arguments, "--json", cwd=folder).stdout)
        assert [entry["spec"]["target"] for entry in made] == ["e_form", "gap"]
        by_id = gbench("run", "--spec", made[1]["run_id"], "--json", "--no-tracking", cwd=folder)
        assert json.loads(by_id.stdout) == made

    def test_folds_of_targets_learned_together_have_a_mean_each(self, folder: Path) -> None:
        arguments = ["run", "--model", "dummy", "--target", "e_form,gap", "--split", "formula", "--fold", "all"]
        done = gbench(*arguments, "--no-tracking", cwd=folder)
        assert all(f"{target}   5 folds   test MAE" in done.stdout for target in ("e_form", "gap"))

    def test_a_tracking_server_that_is_down_does_not_fail_a_run(self, folder: Path) -> None:
        done = gbench("run", "--model", "dummy", "--json", cwd=folder, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
        assert done.returncode == 0
        assert json.loads(done.stdout)["status"] == "ok"
        assert "does not answer" in done.stderr
        assert "gbench track sync" in done.stderr


MISTAKES = [
    (["run", "--model", "megnt"], "error: no model 'megnt'; did you mean 'megnet'"),
    (["run", "--model", "dummy", "--dataset", "pbe"], "error: no dataset 'pbe'"),
    (["run", "--model", "dummy", "--target", "gapp"], "error: no target of pbe_prototypes 'gapp'; did you mean 'gap'?"),
    (["run", "--model", "cgcnn", "--target", "e_form,hirshfeld"], "error: targets that are learned together are of"),
    (["run", "--model", "cgcnn", "--target", "e_form,gapp"], "error: no target of pbe_prototypes 'gapp'; did you mean"),
    (["run", "--model", "cgcnn", "--target", "e_form,gap", "--split", "all"], "error: --split all takes one target"),
    (["run", "--model", "dummy", "--split", "radom"], "error: no split 'radom'; did you mean 'random'?"),
    (["run", "--model", "dummy", "--fold", "7"], "error: fold 7 does not exist; folds run from 0 to 4"),
    (["run", "--model", "dummy", "--fold", "x"], "error: --fold x: give a number from 0, or `all`"),
    (["run", "--model", "dummy", "--split", "official"], "error: pbe_prototypes has no official folds"),
    (["run", "--model", "cgcnn", "--set", "graph.cutoff=1.0", "--set", "graph.on_short=error", "--no-floors"],
     "has no neighbour within 1.0 Å"),
    (["run", "--model", "cgcnn", "--set", "split.val_share=0.999"], "leaves train empty"),
    (["run", "--model", "cgcnn", "--set", "training.learning_rate=.inf"], "learning_rate: Input should be a finite"),
    (["run", "--model", "cgcnn", "--seed=-1"], "error: choices: seed: Input should be greater than or equal to 0"),
    (["run", "--model", "cgcnn", "--set", "split.seed=-1"], "error: split settings: seed: Input should be greater"),
    (["run", "--model", "cgcnn", "--spec", "0123456789ab"], "error: --spec repeats a run as it was; leave out"),
    (["run", "--model", "dummy", "--split", "official", "--fold", "all"], "error: pbe_prototypes has no official"),
    (["splits", "show", "official"], "error: pbe_prototypes has no official folds"),
    (["splits", "make", "official", "--freeze"], "error: pbe_prototypes has no official folds"),
    (["splits", "make", "formula", "--freeze", "--set", "split.n_folds=3"], "already frozen with other parameters"),
    (["run"], "error: say which model to run"),
    (["run", "--spec", "0123456789ab"], "error: --spec 0123456789ab: no such file, and no run of that id"),
    (["datasets", "info", "qm10"], "error: no dataset 'qm10'"),
    (["models", "show", "cgnn"], "error: no model 'cgnn'; did you mean 'cgcnn'"),
    (["splits", "show", "scaffold"], "error: no split 'scaffold'"),
    (["leaderboard", "build", "--results", "nowhere"], "error: nowhere: no such folder of results"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=[" ".join(words) for words, _ in MISTAKES])
def test_mistakes_end_in_one_sentence_and_exit_code_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["gbench", *arguments])
    with pytest.raises(SystemExit) as leaving:
        main()
    assert leaving.value.code == 2
    stderr = capsys.readouterr().err
    assert message in stderr
    assert len(stderr.strip().splitlines()) == 1


BAD_SPECS = [
    (lambda spec: [1], "not a spec"),
    (lambda spec: {**spec, "config": {"hiden": 3}}, "no model setting 'hiden'; did you mean 'hidden'"),
    (lambda spec: {**spec, "target": "foo"}, "no target of pbe_prototypes 'foo'"),
    (lambda spec: {**spec, "graph": None}, "model 'cgcnn' takes a graph section"),
    (lambda spec: {**spec, "model": "megnt"}, "no model 'megnt'"),
]


@pytest.mark.parametrize(("change", "message"), BAD_SPECS, ids=[message for _, message in BAD_SPECS])
def test_specs_that_cannot_be_run_say_why(
    change: Callable[[dict[str, Any]], Any],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec = resolve(Choices(model="cgcnn")).model_dump(mode="json")
    (tmp_path / "spec.json").write_text(json.dumps(change(spec)))
    monkeypatch.setattr(sys, "argv", ["gbench", "run", "--spec", str(tmp_path / "spec.json")])
    with pytest.raises(SystemExit) as leaving:
        main()
    assert leaving.value.code == 2
    assert message in capsys.readouterr().err


DAMAGE = [
    ("result.json", b"\xff\xfe", "result.json: not UTF-8 text"),
    ("result.json", b"{", "delete the folder and run again"),
    ("predictions.parquet", b"PAR1", "predictions.parquet: cannot be read"),
    ("predictions.parquet", None, "predictions.parquet: cannot be read"),
]


@pytest.mark.parametrize(("name", "content", "message"), DAMAGE)
def test_damaged_results_say_which_folder_to_delete(
    folder: Path, printed: str, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    run_id = next(line for line in printed.splitlines() if line.startswith("result")).split("/")[1]
    shutil.copytree(folder / "results" / run_id, tmp_path / "results" / run_id)
    damaged = tmp_path / "results" / run_id / name
    damaged.unlink() if content is None else damaged.write_bytes(content)
    done = gbench("run", "--spec", run_id, "--no-tracking", cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr


def test_paths_with_spaces_and_brackets_are_printed_as_they_are(tmp_path: Path) -> None:
    place = tmp_path / "a b[c]" / ("long " * 30)
    place.mkdir(parents=True)
    done = gbench("run", "--model", "dummy", "--no-floors", "--results", str(place))
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert str(place) in lines["result"]
    assert shlex.split(lines["again"])[-1] == str(place)
    assert shlex.split(lines["MLflow"])[-1] == f"sqlite:///{place}/mlflow.db"


def test_a_second_run_says_that_it_was_done_before(folder: Path, printed: str) -> None:
    done = gbench("run", "--model", "cgcnn", "--split", "formula", *TINY, cwd=folder)
    assert done.stdout.startswith("done before: 20")
    assert "to run again" in done.stdout


def test_bugs_keep_their_traceback_and_exit_code_1(tmp_path: Path) -> None:
    code = "import gbench.prepare, gbench.cli; gbench.prepare.load = None; gbench.cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "--model", "dummy"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["datasets", "list"], {"pbe_prototypes", "matbench_phonons"}),
        (["models", "list"], {"dummy", "knn", "trees", "cgcnn", "megnet"}),
        (["splits", "list"], {"random", "formula", "cluster", "official"}),
    ],
)
def test_lists_are_for_people_and_programs(arguments: list[str], names: set[str]) -> None:
    text = gbench(*arguments).stdout
    assert all(name in text for name in names)
    listed = json.loads(gbench(*arguments, "--json").stdout)
    assert {entry.get("name", entry.get("scheme")) for entry in listed} >= names


def test_cards_can_be_read(printed: str) -> None:
    assert "Hirshfeld" in gbench("datasets", "info", "pbe_prototypes").stdout
    assert "Chen" in gbench("models", "show", "megnet").stdout
    assert json.loads(gbench("models", "show", "megnet", "--json").stdout)["name"] == "megnet"


def test_splits_show_their_sizes_and_shift() -> None:
    folds = json.loads(gbench("splits", "show", "cluster", "--json").stdout)
    assert len(folds) == 5
    assert all(fold["shared_formulas"] == 0 and fold["frozen"] for fold in folds)
    assert "strong shift" in gbench("splits", "show", "cluster").stdout


def test_a_dataset_can_be_verified() -> None:
    done = gbench("datasets", "verify", "pbe_prototypes")
    assert done.returncode == 0
    assert "ok" in done.stdout
    assert "828 crystals" in done.stdout


def test_the_doctor_finds_what_is_needed(folder: Path) -> None:
    done = gbench("doctor", "--json", cwd=folder)
    checks = {check["what"]: check for check in json.loads(done.stdout)}
    assert done.returncode == 0
    assert all(check["ok"] for check in checks.values() if check["required"])
    assert "828 crystals" in checks["dataset pbe_prototypes"]["found"]


def test_the_doctor_says_where_datasets_are_and_fetches_none(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mirror" / "cdvae").mkdir(parents=True)
    for part in ("val", "test"):
        (tmp_path / "mirror" / "cdvae" / f"perov_5_{part}.csv").touch()
    cache = tmp_path / "cache"
    done = gbench("doctor", "--json", cwd=folder, GBENCH_CACHE=str(cache), GBENCH_MIRROR=str(tmp_path / "mirror"))
    found = {check["what"]: check["found"] for check in json.loads(done.stdout)}
    assert found["dataset qm9_mini"] == "qm9_mini@1, here"
    assert found["dataset perov5_7k"] == "perov5_7k@1, in the mirror"
    assert found["dataset qm9"] == "qm9@1, to download"
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_the_leaderboard_is_built_from_local_results(folder: Path, printed: str) -> None:
    done = gbench("leaderboard", "build", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "site/index.html" in done.stdout
    assert "cgcnn" in (folder / "site" / "index.html").read_text()


def test_help_and_version_answer_without_heavy_imports() -> None:
    code = (
        "import sys; sys.argv = ['gbench', '--help']\n"
        "from gbench.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'mlflow', 'pymatgen', 'sklearn', 'pandas', 'scipy', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert gbench("--version").stdout.startswith("gbench 0.")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("gbench run --model me", {"megnet"}),
        ("gbench run --dataset pb", {"pbe_prototypes"}),
        ("gbench run --split f", {"formula"}),
        ("gbench datasets info pb", {"pbe_prototypes"}),
        ("gbench dat", {"datasets"}),
    ],
)
def test_the_shell_completes_commands_and_names(words: str, names: set[str]) -> None:
    done = gbench(_GBENCH_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1))
    assert set(done.stdout.split()) == names


def test_all_splits_are_run_and_compared(tmp_path: Path) -> None:
    done = gbench("run", "--model", "dummy", "--split", "all", "--no-tracking", "--results", str(tmp_path / "r"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("passed over random: ") and "leaks" in line for line in lines)
    assert any(line.startswith("passed over official: pbe_prototypes has no official folds") for line in lines)
    shown = lines[lines.index("test MAE, eV/atom, fold 0 of every split") + 1 :]
    assert {line.split()[0] for line in shown[1:]} >= {"formula", "cluster", "element", "extrapolation", "size"}
    assert next(line for line in shown if line.startswith("cluster")).rstrip().endswith("strong shift")


def test_folds_can_be_written_for_other_programs(tmp_path: Path, prototypes: Dataset) -> None:
    done = gbench("splits", "make", "formula", "--out", str(tmp_path / "folds.csv"))
    assert done.returncode == 0, done.stderr
    written = pd.read_csv(tmp_path / "folds.csv")
    assert list(written["id"]) == list(prototypes.crystals.ids)
    assert (written.filter(like="fold_") == "test").sum(axis=1).eq(1).all()
