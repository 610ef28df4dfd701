"""Models from outside: by folder and by entry point, and what is said of those that cannot be used."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import gbench
from gbench.choices import Choices, check, resolve
from gbench.commands import full_command
from gbench.content import content
from gbench.errors import GbenchError, SpecError
from gbench.new_model import write_new_model
from gbench.registry import class_of, model_card, model_class, model_origin
from gbench.runner import run_spec
from gbench.spec import RunSpec

MAIN = [sys.executable, "-c", "from gbench.cli import main; main()"]
TINY = {"training.epochs": 2, "model.hidden": 8}
FLAGS = [word for key, value in TINY.items() for word in ("--set", f"{key}={value}")] + ["--no-floors", "--no-tracking"]
ESTIMATOR = """
from gbench.model import Estimator

class Zero(Estimator):
    def fit(self, inputs, rows, labels):
        pass

    def predict(self, inputs, rows):
        import numpy as np
        return np.zeros(len(rows))
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder that holds a model ``my_net``."""
    monkeypatch.chdir(tmp_path)
    write_new_model("my_net", Path())
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("gbench_model_")]:
        del sys.modules[name]


def gbench_command(*arguments: str, cwd: Path, path: Path | None = None) -> "subprocess.CompletedProcess[str]":
    paths = [str(path)] if path else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([*paths, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run([*MAIN, *arguments], capture_output=True, text=True, cwd=cwd, env=environment)


def recard(folder: Path, **changes: object) -> None:
    card = yaml.safe_load((folder / "card.yaml").read_text())
    (folder / "card.yaml").write_text(yaml.safe_dump(card | changes))


class TestFolder:
    def test_a_model_is_run_from_its_folder(self, here: Path) -> None:
        result = gbench.run("./my_net", results="results", overrides=TINY)
        assert result.status == "ok"
        assert result.spec.model == "my_net"
        assert result.spec.origin == model_origin("./my_net")
        assert result.spec.origin is not None
        assert result.spec.origin.path == "./my_net"
        assert model_card("./my_net").title == "My net"
        assert "--model ./my_net" in full_command(result.spec)

    def test_a_changed_model_is_another_run(self, here: Path) -> None:
        before = resolve(Choices(model="./my_net"))
        first = model_class("./my_net")
        code = (here / "my_net" / "model.py").read_text()
        # of the same length, in the same second: nothing but the content tells them apart
        (here / "my_net" / "model.py").write_text(code.replace("An example of", "An_example_of"))
        after = resolve(Choices(model="./my_net"))
        assert before.run_id != after.run_id
        assert model_class("./my_net") is not first
        with pytest.raises(SpecError, match="'./my_net' is not what it was when this spec was made"):
            check(before)
        with pytest.raises(SpecError, match="is not what it was"):
            run_spec(before, Path("results"))
        assert not list(Path("results").glob("*/result.json"))
        (here / "my_net" / "model.py").write_text(code)
        assert check(before) == before
        assert model_class("./my_net") is first

    def test_the_card_and_every_module_count_but_tests_do_not(self, here: Path) -> None:
        hashes = [model_origin("./my_net")]
        for file, text in (("card.yaml", "\n# more\n"), ("layers.py", "SIZE = 1\n"), ("layers.py", "SIZE = 2\n")):
            with (here / "my_net" / file).open("a") as open_file:
                open_file.write(text)
            hashes.append(model_origin("./my_net"))
        assert len({origin.sha256 for origin in hashes if origin}) == 4
        (here / "my_net" / "test_more.py").write_text("")
        assert model_origin("./my_net") == hashes[-1]

    def test_a_folder_that_moved_is_the_same_model(self, here: Path) -> None:
        before = resolve(Choices(model="./my_net"))
        (here / "elsewhere").mkdir()
        (here / "my_net").rename(here / "elsewhere" / "my_net")
        after = resolve(Choices(model="elsewhere/my_net"))
        assert after.run_id == before.run_id
        assert after != before
        assert RunSpec.model_validate_json(after.model_dump_json()) == after

    def test_modules_beside_it_are_imported_relatively(self, here: Path) -> None:
        (here / "my_net" / "sizes.py").write_text("SIZE = 12\n")
        with (here / "my_net" / "model.py").open("a") as file:
            file.write("\nfrom .sizes import SIZE  # noqa\n")
        assert sys.modules[model_class("./my_net").__module__].SIZE == 12

    def test_the_folder_of_a_model_of_gbench_is_that_model(self) -> None:
        spec = resolve(Choices(model=str(content("baselines") / "cgcnn")))
        assert spec == resolve(Choices(model="cgcnn"))

    def test_code_runs_only_from_a_folder_that_somebody_names(self, here: Path) -> None:
        spec = resolve(Choices(model="./my_net", overrides=TINY))
        Path("spec.json").write_text(spec.model_dump_json())
        canary = "\nfrom pathlib import Path\nPath('ran').touch()\n"
        refused = gbench_command("run", "--spec", "spec.json", *FLAGS[4:], cwd=here)
        assert refused.returncode == 2
        assert "code is run only from a folder that you name, so add --model ./my_net" in refused.stderr
        with (here / "my_net" / "model.py").open("a") as file:
            file.write(canary)
        changed = gbench_command("run", "--spec", "spec.json", "--model", "./my_net", *FLAGS[4:], cwd=here)
        assert changed.returncode == 2
        assert "is not what it was" in changed.stderr
        assert not Path("ran").exists()

    def test_a_spec_runs_again_with_its_folder(self, here: Path) -> None:
        spec = resolve(Choices(model="./my_net", overrides=TINY))
        Path("spec.json").write_text(spec.model_dump_json())
        done = gbench_command("run", "--spec", "spec.json", "--model", "./my_net", "--json", *FLAGS[4:], cwd=here)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["run_id"] == spec.run_id

    def test_an_estimator_is_a_model_too(self, here: Path) -> None:
        (here / "zero").mkdir()
        (here / "zero" / "card.yaml").write_text(
            "{name: zero, title: Zero, description: Nothing, framework: numpy, licence: MIT, levels: [graph]}"
        )
        (here / "zero" / "model.py").write_text(ESTIMATOR)
        assert gbench.run("./zero", results="results").metrics["mae"].value > 0


def test_specs_of_gbenchs_own_models_name_no_origin() -> None:
    spec = resolve(Choices(model="cgcnn"))
    assert model_origin("cgcnn") is None
    assert "origin" not in spec.model_dump()
    assert "origin" not in spec.canonical()


CODE = {
    "none": ("x = 1\n", r"my_net/model.py must define exactly one Model or Estimator, it defines none"),
    "two": (
        ESTIMATOR + ESTIMATOR.replace("Zero", "One").replace("from gbench.model import Estimator", ""),
        r"my_net/model.py must define exactly one Model or Estimator, it defines One and Zero",
    ),
    "syntax": ("x = 1\ny = (\n", r"my_net/model.py:2: '\(' was never closed"),
    "import": ("import no_such_module\n", r"my_net/model.py: cannot be imported: No module named 'no_such_module'"),
}


class TestRefused:
    @pytest.mark.parametrize("what", CODE)
    def test_code_that_is_no_model(self, what: str, here: Path) -> None:
        code, message = CODE[what]
        (here / "my_net" / "model.py").write_text(code)
        with pytest.raises(GbenchError, match=message):
            resolve(Choices(model="./my_net"))

    def test_a_folder_without_code(self, here: Path) -> None:
        (here / "my_net" / "model.py").unlink()
        with pytest.raises(GbenchError, match=r"my_net/model.py: no such file; it must define exactly one Model"):
            resolve(Choices(model="./my_net"))

    def test_a_folder_without_card(self, here: Path) -> None:
        (here / "my_net" / "card.yaml").unlink()
        with pytest.raises(GbenchError, match=r"\./my_net: no card.yaml in it; `gbench models new NAME` writes"):
            resolve(Choices(model="./my_net"))

    def test_no_folder_and_a_file(self, here: Path) -> None:
        with pytest.raises(GbenchError, match=r"\./other: does not exist; name the folder that holds"):
            resolve(Choices(model="./other"))
        with pytest.raises(GbenchError, match=r"my_net/model.py: is a file; name the folder that holds"):
            resolve(Choices(model="my_net/model.py"))

    def test_a_card_of_another_name(self, here: Path) -> None:
        recard(here / "my_net", name="your_net")
        with pytest.raises(GbenchError, match=r"name is 'your_net' but the folder is 'my_net'; make them equal"):
            resolve(Choices(model="./my_net"))

    def test_a_name_of_gbenchs_own(self, here: Path) -> None:
        (here / "my_net").rename(here / "cgcnn")
        recard(here / "cgcnn", name="cgcnn")
        with pytest.raises(GbenchError, match=r"cgcnn: gbench has a model 'cgcnn' itself; give the folder"):
            resolve(Choices(model="./cgcnn"))

    def test_a_name_that_cannot_be_imported(self, here: Path) -> None:
        (here / "my_net").rename(here / "my-net")
        with pytest.raises(GbenchError, match="'my-net' cannot be imported; use letters, digits and _"):
            resolve(Choices(model="./my-net"))

    def test_a_folder_without_separator_is_told_how_to_write_it(self, here: Path) -> None:
        with pytest.raises(
            GbenchError, match=r"no model 'my_net', but there is a folder of that name; write it as \./my_net"
        ):
            resolve(Choices(model="my_net"))

    def test_each_is_one_sentence_and_exit_code_2(self, here: Path) -> None:
        (here / "my_net" / "model.py").write_text(CODE["syntax"][0])
        done = gbench_command("run", "--model", "./my_net", cwd=here)
        assert (done.returncode, done.stdout) == (2, "")
        assert re.fullmatch(r"error: \S*my_net/model.py:2: .*; mend the code\n", done.stderr)

    def test_a_package_that_is_not_installed_is_named(self, here: Path) -> None:
        spec = resolve(Choices(model="./my_net"))
        assert spec.origin is not None
        elsewhere = spec.origin.model_copy(update={"path": None, "package": "their-models==1.0"})
        with pytest.raises(SpecError, match="'my_net' comes from their-models==1.0, which is not installed here"):
            class_of(spec.model_copy(update={"origin": elsewhere}))


PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "tiny-models"
version = "1.2"
[project.entry-points."gbench.baselines"]
tiny_net = "tiny_models.tiny_net"
cgcnn = "tiny_models.tiny_net"
gone = "tiny_models.gone"
[tool.hatch.build.targets.wheel]
packages = ["tiny_models"]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real package, built and installed: it offers a model, one of a taken name, and one that is not there."""
    source = tmp_path_factory.mktemp("source")
    (source / "pyproject.toml").write_text(PROJECT)
    (source / "tiny_models").mkdir()
    (source / "tiny_models" / "__init__.py").write_text("")
    folder = write_new_model("tiny_net", source / "tiny_models")
    (folder / "__init__.py").write_text("")
    target = tmp_path_factory.mktemp("site")
    pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target"]
    done = subprocess.run([sys.executable, *pip, target, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.mark.xdist_group("plugin")  # one worker, so that it is built once
class TestPackage:
    def test_its_model_is_listed_and_what_cannot_be_used_is_a_warning(self, site: Path, tmp_path: Path) -> None:
        done = gbench_command("models", "list", "--json", cwd=tmp_path, path=site)
        assert done.returncode == 0, done.stderr
        names = [card["name"] for card in json.loads(done.stdout)]
        assert "tiny_net" in names
        assert names.count("cgcnn") == 1
        assert "warning: tiny-models==1.2 offers a model 'cgcnn', which gbench has itself" in done.stderr
        assert "tiny_models.gone is no package; it must hold card.yaml and model.py" in done.stderr

    def test_its_model_runs_by_name_and_the_spec_names_the_package(self, site: Path, tmp_path: Path) -> None:
        done = gbench_command("run", "--model", "tiny_net", "--json", *FLAGS, cwd=tmp_path, path=site)
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert result["status"] == "ok"
        assert result["spec"]["origin"]["package"] == "tiny-models==1.2"
        assert result["spec"]["origin"].keys() == {"package", "sha256"}
        again = gbench_command("run", "--spec", result["run_id"], "--json", "--no-tracking", cwd=tmp_path, path=site)
        assert json.loads(again.stdout) == result
        without = gbench_command("run", "--spec", result["run_id"], "--no-tracking", cwd=tmp_path)
        assert without.returncode == 2
        assert "comes from tiny-models==1.2, which is not installed here" in without.stderr

    def test_what_is_not_there_is_said_when_it_is_asked_for(self, site: Path, tmp_path: Path) -> None:
        done = gbench_command("run", "--model", "gone", cwd=tmp_path, path=site)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "tiny-models==1.2, entry point 'gone' of gbench.baselines" in done.stderr
