"""Counts of graphs are right, and ``gbench graphs`` says them."""

import json
from pathlib import Path

import numpy as np
import pytest
from structures import crystal, one

from gbench.choices import graph_spec
from gbench.cli import main
from gbench.crystals import Crystals
from gbench.dataset import Dataset
from gbench.errors import SpecError, UnknownNameError
from gbench.graph_stats import components, graph_stats
from gbench.graphs import build_graphs
from gbench.spec import GraphSpec

PAIR_AND_ONE = crystal([1, 1, 55], [[0, 0, 0], [0.8, 0, 0], [0, 0, 7.0]], np.eye(3) * 14.0, name="pair and one")
CUBE = crystal([84], [[0, 0, 0]], np.eye(3) * 3.0, name="cube")


def test_counts() -> None:
    graphs = build_graphs(Crystals.build([PAIR_AND_ONE, CUBE]), GraphSpec(cutoff=3.5, on_short="pad"))
    found = graph_stats(graphs)
    assert (found.crystals, found.atoms, found.edges) == (2, 4, 8)
    assert (found.degree_min, found.degree_mean, found.degree_max) == (0, 2.0, 6)
    assert (found.isolated_atoms, found.components_max, found.crystals_in_pieces) == (1, 2, 1)


def test_an_atom_that_only_others_count_as_neighbour_is_not_isolated() -> None:
    # the third atom is the second's nearest; nothing is near enough to the third but what it is nearest to
    chain = one([1, 1, 1], [[0, 0, 0], [1.0, 0, 0], [2.5, 0, 0]], None)
    graphs = build_graphs(chain, GraphSpec(kind="knn", neighbors=1, cutoff=5.0))
    assert graph_stats(graphs).isolated_atoms == 0
    assert components(graphs).tolist() == [1]


@pytest.mark.parametrize("block", [200, 10**6])
def test_components_are_those_of_merging_sets(prototypes: Dataset, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gbench.graphs.BLOCK_EDGES", block)
    crystals = prototypes.crystals.take(range(0, 828, 20))
    graphs = build_graphs(crystals, GraphSpec(cutoff=2.5, on_short="pad"))
    found = components(graphs)
    for row in range(len(crystals)):
        atoms, edges = range(*crystals.ptr[row : row + 2]), slice(*graphs.edge_ptr[row : row + 2])
        pieces = [{atom} for atom in atoms]
        for ends in zip(graphs.src[edges].tolist(), graphs.dst[edges].tolist(), strict=True):
            met = [piece for piece in pieces if piece & set(ends)]
            pieces = [piece for piece in pieces if piece not in met] + [set[int]().union(*met)]
        assert found[row] == len(pieces)


def test_settings_of_graphs_are_checked() -> None:
    assert graph_spec({"graph.cutoff": 6}).cutoff == 6.0
    with pytest.raises(UnknownNameError, match="no graph setting 'cutof'; did you mean 'cutoff'"):
        graph_spec({"graph.cutof": 6})
    with pytest.raises(SpecError, match=r"graphs have no model settings; drop --set model\.\*"):
        graph_spec({"model.hidden": 6})
    with pytest.raises(SpecError, match="kind 'knn' needs neighbors"):
        graph_spec({"graph.kind": "knn"})


class TestCommands:
    def run(self, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
            patch.setattr("sys.argv", ["gbench", "graphs", *arguments])
            main()
        captured = capsys.readouterr()
        assert ended.value.code == code
        assert (captured.err == "") == (code == 0)
        return captured.err if code else captured.out

    def test_build_says_what_it_took_and_where_the_file_is(self, capsys: pytest.CaptureFixture[str]) -> None:
        settings = ("--set", "graph.cutoff=3.9", "--set", "graph.on_short=grow")
        said = self.run(capsys, "build", *settings)
        assert "pbe_prototypes@1   radius 3.9 Å   built and cached in" in said
        assert ".arrow (" in said
        assert "read from the cache in" in self.run(capsys, "build", *settings)

    def test_stats_as_json_agree_with_the_graphs(self, capsys: pytest.CaptureFixture[str], prototypes: Dataset) -> None:
        settings = ("--set", "graph.kind=knn", "--set", "graph.neighbors=8", "--set", "graph.shells=cut")
        said = json.loads(self.run(capsys, "stats", *settings, "--set", "graph.cutoff=8", "--json"))
        graphs = build_graphs(prototypes.crystals, GraphSpec(kind="knn", neighbors=8, shells="cut", cutoff=8))
        assert (said["sha256"], said["edges"], said["degree_max"]) == (graphs.sha256, graphs.n_edges, 8)
        assert Path(said["path"]).stat().st_size == said["bytes"]
        assert "choice of cell" in said["warnings"][0]

    def test_stats_for_a_person(self, capsys: pytest.CaptureFixture[str]) -> None:
        said = self.run(capsys, "stats", "--set", "graph.cutoff=2.5", "--set", "graph.on_short=pad")
        for fact in (
            "atoms      2,118, 1,432 isolated",
            "edges      3,180",
            "degree     1.5 (0 to 14)",
            "642 crystals",
        ):
            assert fact in said

    def test_a_mistake_is_one_sentence(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert "has no neighbour within 1.0 Å" in self.run(capsys, "build", "--set", "graph.cutoff=1.0", code=2)
