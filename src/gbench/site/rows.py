"""What a leaderboard table holds."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any, Literal

from gbench.result import SplitRecord
from gbench.site.runs import ScoredRun
from gbench.site.scores import Score
from gbench.spec import SplitSpec

Tier = Literal["recomputed", "reported"]
Standing = Literal["ranked", "reference", "partial", "excluded"]


@dataclass(frozen=True)
class Row:
    """All runs of one model with one set of settings on one task and split."""

    model: str
    runs: tuple[ScoredRun, ...]
    mae: Score
    rmse: Score | None
    r2: Score | None
    standing: Standing = "ranked"
    reason: str = ""
    """Why it is excluded."""
    settings: tuple[tuple[str, Any], ...] = ()
    """What tells it from other rows of the same model."""
    skill: float | None = None
    rank: int | None = None
    tied: bool = False
    """Whether its interval contains the MAE of the best model."""

    @property
    def folds(self) -> tuple[int, ...]:
        """Folds it has, ascending."""
        return tuple(sorted({run.result.spec.split.fold for run in self.runs}))

    @property
    def parameters(self) -> int | None:
        """Mean over runs, rounded; None for a model that has no weights to count."""
        return round(self._mean_cost("parameters") or 0) or None

    @property
    def train_seconds(self) -> float | None:
        """Mean over runs."""
        return self._mean_cost("train_seconds")

    @property
    def train_cpu_seconds(self) -> float | None:
        """Mean over runs of the processor time of training; None if it was not measured for all."""
        return self._mean_cost("train_cpu_seconds")

    @property
    def warnings(self) -> list[str]:
        """What its graphs warn of."""
        graphs = [run.result.graph for run in self.runs]
        return sorted({warning for graph in graphs if graph for warning in graph.warnings})

    @property
    def tier(self) -> Tier:
        """How far its scores can be trusted."""
        return "recomputed" if all(run.has_predictions for run in self.runs) else "reported"

    def _mean_cost(self, name: Literal["parameters", "train_seconds", "train_cpu_seconds"]) -> float | None:
        costs = [run.result.cost for run in self.runs]
        found = [value for cost in costs if cost is not None and (value := getattr(cost, name)) is not None]
        return fmean(found) if len(found) == len(self.runs) else None


@dataclass(frozen=True)
class Table:
    """Rows that may be compared: same data, target and split."""

    dataset: str
    version: str
    target: str
    unit: str
    split: SplitSpec
    rows: tuple[Row, ...]
    """Ranked and reference rows by MAE, then those with some folds only, then the excluded."""

    @property
    def scheme(self) -> str:
        """Name of the split scheme."""
        return str(self.parameters["scheme"])

    @property
    def parameters(self) -> dict[str, Any]:
        """Scheme and parameters of the split, without the fold."""
        return self.split.model_dump(mode="json", exclude={"fold"})

    @property
    def split_label(self) -> str:
        """The scheme, with the parameters that are not its defaults."""
        fields = type(self.split).model_fields
        unusual = [f"{key} {value}" for key, value in self.parameters.items() if value != fields[key].default]
        return ", ".join([self.scheme, *unusual])

    @cached_property
    def folds(self) -> tuple[int, ...]:
        """Folds that a complete row has."""
        return tuple(sorted({fold for row in self.rows if row.standing != "excluded" for fold in row.folds}))

    @property
    def leaks(self) -> bool:
        """Whether any of the folds was found to leak."""
        return "leak" in self._verdicts.values()

    @property
    def verdict(self) -> str:
        """What the split was measured to be: ``leak in 5 of 5 folds; fold 0: 97 % of ...``. Empty if it was not."""
        counts = Counter(self._verdicts.values())
        if not counts:
            return ""
        found = ", ".join(f"{verdict} in {count} of {counts.total()} folds" for verdict, count in counts.most_common())
        return f"{found}; fold {min(self._verdicts)}: {self._first_why}"

    @cached_property
    def _verdicts(self) -> dict[int, str]:
        return {fold: record.verdict for fold, record in self._measured.items() if record.verdict}

    @property
    def _first_why(self) -> str:
        return self._measured[min(self._verdicts)].why or ""

    @cached_property
    def _measured(self) -> dict[int, SplitRecord]:
        runs = (run.result for row in self.rows for run in row.runs)
        return {run.spec.split.fold: run.split for run in runs if run.split is not None and run.split.verdict}

    @property
    def best(self) -> Row | None:
        """The first ranked row."""
        return next((row for row in self.rows if row.rank == 1), None)

    def of(self, *standings: Standing) -> list[Row]:
        """Rows of these standings, in order."""
        return [row for row in self.rows if row.standing in standings]
