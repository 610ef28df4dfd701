"""Tables as the home page draws them: axis, decimals, notes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from gbench.cards import DatasetCard, Target
from gbench.site.names import anchor, run_page, settings_text
from gbench.site.numbers import decimals_for
from gbench.site.plots import Bar, IntervalAxis, interval_axis
from gbench.site.rows import Row, Table
from gbench.site.scores import Basis
from gbench.splitting import schemes

BASIS_NOTES: dict[Basis, str] = {
    "bootstrap": "one run: bootstrap over its test items, or over groups of items that are not independent",
    "seeds": "several seeds of one fold: t interval over seeds, which leaves out the choice of test items",
    "folds": "several folds: t interval over folds",
}


@dataclass(frozen=True)
class TableView:
    """A table with what its drawing needs."""

    table: Table
    target: Target | None
    """Card facts of the target, if the dataset has a card."""
    axis: IntervalAxis | None
    decimals: int
    second_decimals: int

    @property
    def anchor(self) -> str:
        """Identifier on the home page."""
        return anchor(self.table)

    @property
    def name(self) -> str:
        """The task in words."""
        return f"{self.table.target} · {self.table.dataset}"

    def bar(self, row: Row) -> Bar | None:
        """The drawn interval of a row."""
        return self.axis.bar(row.mae.value, row.mae.low, row.mae.high) if self.axis else None

    @property
    def has_beyond(self) -> bool:
        """Whether some score lies right of the axis."""
        bars = [self.bar(row) for row in self.table.of("ranked", "reference", "partial")]
        return any(bar.beyond for bar in bars if bar)

    def runs_text(self, row: Row) -> str:
        """Folds and seeds of a row in a few characters."""
        folds, runs = len(row.folds), len(row.runs)
        if row.standing == "partial":
            return f"{folds} of {len(self.table.folds)} folds"
        return f"{folds} × {runs // folds}" if runs % folds == 0 else f"{runs} runs"

    @property
    def interval_notes(self) -> list[str]:
        """What the intervals were taken over; names the models if that differs between them."""
        rows = self.table.of("ranked", "reference", "partial")
        models: dict[Basis, list[str]] = {}
        for row in rows:
            models.setdefault(row.mae.basis, []).append(row.model)
        named = {basis: f" ({', '.join(dict.fromkeys(found))})" for basis, found in models.items()}
        return [note + named[basis] * (len(named) > 1) for basis, note in BASIS_NOTES.items() if basis in named]

    @property
    def sizes(self) -> str:
        """Crystals in each part, as ranges over the folds."""
        splits = [run.split for row in self.table.of("ranked", "reference", "partial") for run in row.runs]
        parts = {
            "train": [split.train for split in splits],
            "validation": [split.val for split in splits],
            "test": [split.test for split in splits],
        }
        return ", ".join(f"{_range(sizes)} {part}" for part, sizes in parts.items() if sizes)

    @property
    def devices(self) -> str:
        """Devices the runs were trained on."""
        costs = [run.result.cost for row in self.table.rows for run in row.runs]
        return ", ".join(sorted({cost.device for cost in costs if cost}))


def table_view(table: Table, card: DatasetCard | None) -> TableView:
    """The view of a table."""
    shown = table.of("ranked", "reference", "partial") or list(table.rows)
    seconds = [row.train_seconds for row in table.rows if row.train_seconds is not None]
    return TableView(
        table=table,
        target=card.targets.get(table.target) if card else None,
        axis=interval_axis([(row.mae.value, row.mae.low, row.mae.high) for row in table.of("ranked") or shown]),
        decimals=decimals_for(min((row.mae.value for row in shown if row.mae.value > 0), default=0.0)),
        second_decimals=0 if max(seconds, default=0.0) >= 100 else 1,
    )


@dataclass(frozen=True)
class Comparison:
    """The same models on one target, split by split."""

    views: tuple[TableView, ...]
    models: tuple[str, ...]

    @property
    def ordered(self) -> list[TableView]:
        """From interpolation to extrapolation: schemes in the order of :func:`gbench.splitting.schemes`."""
        order = list(schemes())
        return sorted(self.views, key=lambda view: order.index(view.table.scheme))

    @property
    def has_ratio(self) -> bool:
        """Whether the easiest split is random and the hardest is not."""
        return self._ends[0].table.scheme == "random" != self._ends[1].table.scheme

    @property
    def ratio_words(self) -> str:
        """Which MAE is divided by which."""
        return f"{self._ends[1].table.split_label} ÷ {self._ends[0].table.split_label}"

    def ratio(self, model: str) -> float | None:
        """MAE of the hardest split over that of the random one."""
        easy, hard = (self.row(view, model) for view in self._ends)
        return hard.mae.value / easy.mae.value if easy and hard and easy.mae.value > 0 else None

    @property
    def _ends(self) -> tuple[TableView, TableView]:
        # published folds may be of any kind: they say nothing of how hard they are
        graded = [view for view in self.ordered if view.table.scheme != "official"] or self.ordered
        return graded[0], graded[-1]

    def row(self, view: TableView, model: str) -> Row | None:
        """The complete row of a model in one of the tables, its best if it has several."""
        return next((row for row in view.table.of("ranked", "reference") if row.model == model), None)


def comparisons(views: Sequence[TableView]) -> list[Comparison]:
    """One for each target that has results under several splits."""
    found = []
    for _, group in groupby(views, key=lambda view: (view.table.dataset, view.table.target)):
        several = tuple(group)
        complete = [row.model for view in several for row in view.table.of("ranked", "reference")]
        if len(several) > 1 and complete:
            found.append(Comparison(several, tuple(dict.fromkeys(complete))))
    return found


def _range(sizes: Sequence[int]) -> str:
    low, high = min(sizes), max(sizes)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def evidence_link(row: Row, model_page: str, place: str) -> str:
    """Where the runs behind a row are shown: the run itself, or the model's page if there are several."""
    return run_page(row.runs[0].run_id) if len(row.runs) == 1 else f"{model_page}#{place}"


def row_label(row: Row) -> str:
    """The settings that tell a row from its model's other rows."""
    return settings_text(row.settings)
