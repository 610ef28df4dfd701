"""One table per task and split: who is ranked, who is not and why."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gbench.cards import DatasetCard
from gbench.choices import Choices
from gbench.site.rows import Row, Standing, Table
from gbench.site.runs import ScoredRun
from gbench.site.scores import combine, fold_means, skill
from gbench.spec import RunSpec
from gbench.splitting import schemes

DUMMY = "dummy"
TOGETHER = "learned with"
"""The setting that marks a network that learned other targets besides."""
FIRST_DATASET: str = Choices.model_fields["dataset"].default
ORDER: dict[Standing, int] = {"ranked": 0, "reference": 0, "partial": 1, "excluded": 2}
Reasons = Mapping[str, str]


def make_tables(runs: Sequence[ScoredRun], excluded: Reasons, cards: Mapping[str, DatasetCard]) -> list[Table]:
    """The tables, the first being what ``gbench run`` uses by default.

    ``excluded``: run id -> why it must not be compared with the others.
    """
    grouped: dict[tuple[str, str, str], list[ScoredRun]] = {}
    for run in runs:
        spec = run.result.spec
        grouped.setdefault((spec.dataset, spec.target, _protocol(spec)), []).append(run)
    tables = [_table(group, excluded) for group in grouped.values()]
    return sorted(tables, key=lambda table: _place(table, cards.get(table.dataset)))


def _protocol(spec: RunSpec) -> str:
    return json.dumps(spec.split.model_dump(mode="json", exclude={"fold"}), sort_keys=True)


def _place(table: Table, card: DatasetCard | None) -> tuple[Any, ...]:
    first_target = card.default_target if card else ""
    first_scheme = card.default_split if card else ""
    scheme = list(schemes()).index(table.scheme)
    by_dataset = (table.dataset != FIRST_DATASET, table.dataset)
    by_target = (table.target != first_target, table.target)
    by_split = (table.scheme != first_scheme, scheme, table.split_label)
    return by_dataset, by_target, by_split


def _table(runs: Sequence[ScoredRun], excluded: Reasons) -> Table:
    excluded = dict(excluded) | _other_splits([run for run in runs if run.run_id not in excluded])
    grouped: dict[tuple[str, str, str], list[ScoredRun]] = {}
    for run in runs:
        spec = run.result.spec
        settings = json.dumps(_settings(spec), sort_keys=True)
        grouped.setdefault((spec.model, settings, excluded.get(run.run_id, "")), []).append(run)
    rows = [_row(group, reason) for (_, _, reason), group in sorted(grouped.items())]
    rows = _tell_apart(_with_standing(rows))
    sound = [run for run in runs if run.run_id not in excluded] or list(runs)
    record = sound[0].dataset
    return Table(record.name, record.version, record.target, record.unit, sound[0].result.spec.split, tuple(rows))


def _other_splits(runs: Sequence[ScoredRun]) -> dict[str, str]:
    """Runs whose fold holds other rows than the same fold of most runs; frozen splits break a draw."""
    counts: dict[int, Counter[str]] = {}
    frozen = {run.split.sha256 for run in runs if run.split.frozen}
    for run in runs:
        counts.setdefault(run.result.spec.split.fold, Counter())[run.split.sha256] += 1
    usual = {fold: _most_common(seen, frozen) for fold, seen in counts.items()}
    return {
        run.run_id: f"fold {run.result.spec.split.fold} holds other rows (split {run.split.sha256[:8]}…)"
        for run in runs
        if run.split.sha256 != usual[run.result.spec.split.fold]
    }


def _most_common(seen: Counter[str], frozen: set[str]) -> str:
    return max(seen, key=lambda sha: (seen[sha], sha in frozen, sha))


def _row(runs: Sequence[ScoredRun], reason: str) -> Row:
    ordered = sorted(runs, key=lambda run: (run.result.spec.split.fold, run.result.spec.seed, run.run_id))
    mae = combine("mae", ordered)
    if mae is None:
        raise ValueError("a scored run has an MAE")
    return Row(
        model=runs[0].result.spec.model,
        runs=tuple(ordered),
        mae=mae,
        rmse=combine("rmse", ordered),
        r2=combine("r2", ordered),
        standing="excluded" if reason else "ranked",
        reason=reason,
    )


def _with_standing(rows: Sequence[Row]) -> list[Row]:
    all_folds = {fold for row in rows if row.standing != "excluded" for fold in row.folds}
    dummies = [row for row in rows if row.model == DUMMY and row.standing != "excluded"]
    widest = max(dummies, key=lambda row: len(row.folds), default=None)
    reference = fold_means("mae", widest.runs) if widest else {}
    placed = []
    for row in rows:
        if row.standing == "excluded":
            placed.append(row)
            continue
        complete: Standing = "reference" if row.model == DUMMY else "ranked"
        standing: Standing = complete if set(row.folds) == all_folds else "partial"
        placed.append(replace(row, standing=standing, skill=skill(row.runs, reference)))
    placed.sort(key=lambda row: (ORDER[row.standing], row.mae.value, row.model, row.runs[0].run_id))
    return _ranked(placed)


def _ranked(rows: Sequence[Row]) -> list[Row]:
    ranked = [row for row in rows if row.standing == "ranked"]
    if not ranked:
        return list(rows)
    best = ranked[0]
    ranks = {id(row): number for number, row in enumerate(ranked, start=1)}

    def tied(row: Row) -> bool:
        return id(row) in ranks and row is not best and row.mae.low <= best.mae.value <= row.mae.high

    return [replace(row, rank=ranks.get(id(row)), tied=tied(row)) for row in rows]


def _tell_apart(rows: Sequence[Row]) -> list[Row]:
    """Rows of one model carry the settings in which they differ; one that learned other targets besides says so."""
    flat = [_settings(row.runs[0].result.spec) for row in rows]
    told = []
    for row, settings in zip(rows, flat, strict=True):
        peers = [other for other, peer in zip(flat, rows, strict=True) if peer.model == row.model]
        keys = sorted({key for peer in peers for key in peer})
        differing = [key for key in keys if any(peer.get(key) != settings.get(key) for peer in peers)]
        differing += [TOGETHER] if settings.get(TOGETHER) and TOGETHER not in differing else []
        told.append(replace(row, settings=tuple((key, settings.get(key)) for key in differing)))
    return told


def _settings(spec: RunSpec) -> dict[str, Any]:
    """Model, graph and training settings under dotted keys, the code of a model from outside, and targets besides."""
    parts = {"model": spec.config, "graph": spec.graph, "training": spec.training}
    # the same settings mean the same model only where the code is the same
    flat: dict[str, Any] = {"model code": spec.origin.sha256[:12]} if spec.origin else {}
    if spec.beside:
        flat[TOGETHER] = ", ".join(spec.beside)
    for section, part in parts.items():
        values = part if isinstance(part, dict) else part.model_dump(mode="json") if part else {}
        flat |= {f"{section}.{key}": value for key, value in values.items()}
    return flat
