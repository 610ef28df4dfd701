"""``gbench graphs``: atoms turned into graphs, and what these look like."""

import time
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from gbench.cli import complete
from gbench.cli.console import console, print_json

if TYPE_CHECKING:
    from pathlib import Path

    from gbench.dataset import Dataset
    from gbench.graphs import Graphs

app = typer.Typer(help="Graphs: build them, look at them.", no_args_is_help=True)
Name = Annotated[
    str, typer.Option("--dataset", "-d", help="A name of `gbench datasets list`.", autocompletion=complete.datasets)
]
Settings = Annotated[list[str] | None, typer.Option("--set", help="graph.key=value, e.g. graph.cutoff=6.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; as many as gain time unless given.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


class _Made(NamedTuple):
    dataset: "Dataset"
    graphs: "Graphs"
    seconds: float
    cached: bool
    path: "Path"

    def facts(self) -> dict[str, Any]:
        return {
            "dataset": f"{self.dataset.card.name}@{self.dataset.card.version}",
            "graph": self.graphs.spec.model_dump(mode="json"),
            "seconds": self.seconds,
            "cached": self.cached,
            "sha256": self.graphs.sha256,
            "edges_sha256": self.graphs.edges_sha256,
            "path": str(self.path),
            "bytes": self.path.stat().st_size,
            "warnings": list(self.graphs.warnings),
        }

    def title(self) -> str:
        how = "read from the cache" if self.cached else "built and cached"
        return (
            f"{self.dataset.card.name}@{self.dataset.card.version}   {self.graphs.spec.describe()}   "
            f"{how} in {self.seconds:.2f} s"
        )


@app.command("build")
def build(
    dataset: Name = "pbe_prototypes", settings: Settings = None, workers: Workers = None, as_json: Json = False
) -> None:
    """Build the graphs of a dataset and cache them."""
    made = _make(dataset, settings, workers)
    if as_json:
        print_json({**made.facts(), "edges": made.graphs.n_edges})
        return
    console.print(made.title(), style="bold")
    console.print(f"{made.graphs.n_edges:,} edges, {made.graphs.edges_per_atom:.1f} per atom")
    _print_file(made)


@app.command("stats")
def stats(
    dataset: Name = "pbe_prototypes", settings: Settings = None, workers: Workers = None, as_json: Json = False
) -> None:
    """Sizes, degrees, isolated atoms and connected components of the graphs of a dataset."""
    import dataclasses

    from gbench.graph_stats import graph_stats

    made = _make(dataset, settings, workers)
    found = graph_stats(made.graphs)
    if as_json:
        print_json({**made.facts(), **dataclasses.asdict(found)})
        return
    console.print(made.title(), style="bold")
    console.print(f"crystals   {found.crystals:,}")
    console.print(f"atoms      {found.atoms:,}, {found.isolated_atoms:,} isolated")
    console.print(f"edges      {found.edges:,}")
    console.print(f"degree     {found.degree_mean:.1f} ({found.degree_min:,} to {found.degree_max:,})")
    whole = "every crystal in one piece"
    pieces = f"{found.crystals_in_pieces:,} crystals in more than one piece, at most {found.components_max:,}"
    console.print(f"components {pieces if found.crystals_in_pieces else whole}")
    _print_file(made)


def _print_file(made: _Made) -> None:
    console.print(f"sha256     {made.graphs.sha256}")
    console.print(f"file       {made.path} ({made.path.stat().st_size:,} bytes)", soft_wrap=True)
    for warning in made.graphs.warnings:
        console.print(f"warning    {warning}", soft_wrap=True)


def _make(name: str, settings: list[str] | None, workers: int | None) -> _Made:
    from gbench.choices import graph_spec, parse_overrides
    from gbench.dataset import load
    from gbench.graphs import cached_graphs, graph_file
    from gbench.waiting import bar

    # a slip in the settings is answered before anything is loaded
    spec = graph_spec(parse_overrides(settings or []))
    dataset = load(name)
    built = []
    with bar("building graphs", len(dataset.crystals)) as progress:

        def advance(crystals: int) -> None:
            built.append(crystals)
            progress(crystals)

        started = time.perf_counter()
        graphs = cached_graphs(dataset.crystals, spec, workers=workers, progress=advance)
        seconds = time.perf_counter() - started
    return _Made(dataset, graphs, seconds, not built, graph_file(graphs.key))
