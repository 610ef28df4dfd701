"""Everything the pages show, gathered from results and cards."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gbench.cards import DatasetCard, ModelCard
from gbench.errors import GbenchError
from gbench.model_facts import ModelFacts, facts_of
from gbench.registry import dataset_card, dataset_names, model_card, own_model_names
from gbench.result import Result
from gbench.site.evidence import Evidence, collect
from gbench.site.rows import Row, Table
from gbench.site.runs import Run, ScoredRun, failed, read_runs, scored
from gbench.site.standing import stale_runs
from gbench.site.tables import make_tables


@dataclass(frozen=True)
class Board:
    """The leaderboard, not yet drawn."""

    tables: tuple[Table, ...]
    runs: tuple[ScoredRun, ...]
    failures: tuple[Run, ...]
    evidence: dict[str, Evidence]
    """By run id, for every scored run."""
    excluded: dict[str, str]
    """Run id -> why it is not ranked."""
    datasets: dict[str, DatasetCard]
    models: dict[str, ModelCard]
    facts: dict[str, ModelFacts]
    """Of the models whose code is at hand; times of training are those of ``runs``."""

    @property
    def model_names(self) -> list[str]:
        """Models with a card or a result."""
        return sorted({*self.models, *(run.result.spec.model for run in (*self.runs, *self.failures))})

    @property
    def dataset_names(self) -> list[str]:
        """Datasets with a card or a result."""
        return sorted({*self.datasets, *(run.result.spec.dataset for run in (*self.runs, *self.failures))})

    def rows_of(self, model: str) -> list[tuple[Table, Row]]:
        """Where a model stands, table by table."""
        return [(table, row) for table in self.tables for row in table.rows if row.model == model]

    def failures_of(self, model: str) -> list[Run]:
        """A model's failed runs."""
        return [run for run in self.failures if run.result.spec.model == model]


def gather(results: Sequence[Path]) -> Board:
    """The board of all results below the folders.

    Raises:
        DataError: a result or predictions file that is damaged.
        CardError: a card breaks its schema.
    """
    runs = read_runs(results)
    datasets = {name: dataset_card(name) for name in dataset_names()}
    finished = scored(runs)
    stale = stale_runs(finished, datasets)
    evidence = collect(finished, stale)
    contradicted = {run_id: found.contradiction for run_id, found in evidence.items() if found.contradiction}
    tables = make_tables(finished, stale | contradicted, datasets)
    return Board(
        tables=tuple(tables),
        runs=tuple(finished),
        failures=tuple(failed(runs)),
        evidence=evidence,
        excluded={run.run_id: row.reason for table in tables for row in table.rows if row.reason for run in row.runs},
        datasets=datasets,
        models={name: model_card(name) for name in own_model_names()},
        facts=_facts([run.result for run in finished if run.run_id not in stale | contradicted]),
    )


def _facts(results: Sequence[Result]) -> dict[str, ModelFacts]:
    found = {}
    for name in own_model_names():
        # a page is worth having without what its model's code would tell
        with suppress(GbenchError):
            found[name] = facts_of(name, results=[result for result in results if result.spec.model == name])
    return found
