"""The template is a model that obeys the laws, and `models check` finds out those that do not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_plugins import gbench_command, recard

from gbench.errors import GbenchError
from gbench.laws import check, examine, laws_of, networks
from gbench.model_facts import facts_of
from gbench.new_model import write_new_model


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_new_model("my_net", tmp_path)


def edit(folder: Path, old: str, new: str) -> str:
    code = (folder / "model.py").read_text()
    assert old in code
    (folder / "model.py").write_text(code.replace(old, new))
    return str(folder)


def test_the_test_of_the_template_passes(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "failed" not in done.stdout


def test_the_template_takes_the_name(folder: Path) -> None:
    text = "".join(path.read_text() for path in folder.iterdir())
    assert "class MyNet(Stack[MyNetConfig])" in text
    assert "name: my_net" in text
    assert "MyModel" not in text and "my_model" not in text and "My model" not in text


def test_a_name_that_the_template_uses_is_avoided(tmp_path: Path) -> None:
    assert "class StackModel(Stack[StackModelConfig])" in (write_new_model("stack", tmp_path) / "model.py").read_text()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my-net", "'my-net' cannot be the name of a model; begin with a letter"),
        ("1net", "cannot be the name"),
        ("cgcnn", "there is a model 'cgcnn' already"),
        ("my_net", "my_net is there already; choose another name, or another place with --out"),
    ],
)
def test_names_that_cannot_be_taken(name: str, message: str, folder: Path) -> None:
    with pytest.raises(GbenchError, match=message):
        write_new_model(name, folder.parent)


class TestCheck:
    def test_a_claim_that_fails_is_found_and_ends_with_1(self, folder: Path) -> None:
        # what an atom sends depends on where it lies
        edit(folder, "edges.radial(self.filter))", "edges.radial(self.filter) * (1 + edges.ops.batch.vector[:, :1]))")
        done = gbench_command("models", "check", "./my_net", cwd=folder.parent)
        assert done.returncode == 1, done.stderr
        lines = {line.split("  ")[0]: line for line in done.stdout.splitlines()}
        assert "BROKEN" in lines["rotation"] and "claimed, but not kept" in lines["rotation"]
        assert "holds" in lines["permutation"] and "1e-08" in lines["permutation"]
        assert "card and code" in done.stdout.splitlines()[0]
        facts = facts_of(str(folder))
        size = f"{facts.parameters:,} parameters   receptive field 3 x 5.0 Å   on pbe_prototypes / e_form"
        assert done.stdout.splitlines()[1] == size
        assert "broken" in done.stdout.splitlines()[-1]

    def test_the_report_is_json_for_programs(self, folder: Path) -> None:
        done = gbench_command("models", "check", "dummy", "--json", cwd=folder)
        report = json.loads(done.stdout)
        assert done.returncode == 0
        assert report["holds"] is True
        assert (report["facts"]["parameters"], report["facts"]["receptive_field"]) == (None, None)
        assert {"law": "cell", "holds": True, "largest": 0.0, "limit": 1e-8, "note": "claimed"} in report["findings"]

    def test_a_symmetry_that_is_kept_but_not_claimed_is_found(self, folder: Path) -> None:
        recard(folder, symmetries=["permutation"])
        finding = networks.keeps_what_it_claims(str(folder), "rotation")
        assert finding.holds is False
        assert finding.note == "not claimed, but kept: add it to the card"

    def test_members_of_a_batch_that_see_each_other_are_found(self, folder: Path) -> None:
        model = edit(folder, "return edges.ops.mean(", "return h.mean() + edges.ops.mean(")
        assert not examine(model, "a batch equals its members, graph level").holds

    def test_parameters_that_take_no_part_are_named(self, folder: Path) -> None:
        model = edit(folder, "self.filter = ", "self.idle = nn.Linear(3, 3)\n        self.filter = ")
        finding = examine(model, "finite gradients reach every parameter")
        assert finding.holds is False
        assert finding.note.startswith("no gradient reaches layers.0.idle")

    def test_weights_that_ignore_the_seed_are_found(self, folder: Path) -> None:
        model = edit(folder, "self.filter = ", "self.drawn = nn.Parameter(drawn())\n        self.filter = ")
        code = (folder / "model.py").read_text()
        drawn = "def drawn():\n    generator = torch.Generator()\n    generator.seed()\n"
        drawn += "    return torch.rand(1, generator=generator)\n"
        (folder / "model.py").write_text(code.replace("class Messages", f"import torch\n\n\n{drawn}\n\nclass Messages"))
        finding = examine(model, "the same seed gives the same weights")
        assert finding.holds is False
        assert "layers.0.drawn differs" in finding.note

    def test_a_gradient_that_is_not_finite_is_found(self, folder: Path) -> None:
        model = edit(folder, "edges.radial(self.filter))", "edges.radial(lambda u: self.filter((u - u).sqrt())))")
        assert not examine(model, "finite on a one-atom cell").holds

    def test_code_that_raises_breaks_its_laws_and_not_the_report(self, folder: Path) -> None:
        raising = "raise ValueError('no\\nsuch thing')\n        return edges.ops.mean("
        model = edit(folder, "return edges.ops.mean(", raising)
        report = check(model)
        assert not report.holds
        assert report.facts is not None and report.facts.parameters
        assert {finding.note for finding in report.findings if finding.holds is False} == {"ValueError: no"}
        assert [finding.law for finding in report.findings if finding.holds] == ["the same seed gives the same weights"]
        with pytest.raises(ValueError, match="no"):
            examine(model, "permutation")

    def test_only_levels_and_frameworks_that_are_claimed_are_held(self, folder: Path) -> None:
        recard(folder, levels=["node"], dgl=False)
        laws = laws_of(str(folder))
        assert "a batch equals its members, node level" in laws
        assert not [law for law in laws if "edge" in law or "DGL" in law or "graph level" in law]
        for law in ("permutation", "supercell", "it overfits ten crystals", "predictions differ between crystals"):
            assert examine(str(folder), law).holds, law

    def test_a_law_that_does_not_exist_is_refused(self) -> None:
        with pytest.raises(GbenchError, match="is not held to a law 'gravity'; its laws: permutation"):
            examine("dummy", "gravity")
