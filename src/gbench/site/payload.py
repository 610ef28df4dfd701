"""``leaderboard.json``: every row and every model of the site for machines."""

import json
from dataclasses import asdict
from typing import Any

from gbench.site.board import Board
from gbench.site.names import model_page, run_page
from gbench.site.rows import Row, Table
from gbench.site.runs import Run

SCHEMA_VERSION = 1


def payload_text(board: Board) -> str:
    """The file's content; no NaN."""
    payload = {
        "schema_version": SCHEMA_VERSION,
        "tables": [_table(table) for table in board.tables],
        "models": {name: _model(board, name) for name in board.models},
        "failed": [_failure(run) for run in board.failures],
    }
    return json.dumps(payload, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _table(table: Table) -> dict[str, Any]:
    return {
        "dataset": table.dataset,
        "version": table.version,
        "target": table.target,
        "unit": table.unit,
        "split": table.parameters,
        "verdict": table.verdict or None,
        "leaks": table.leaks,
        "folds": table.folds,
        "rows": [_row(row) for row in table.rows],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "rank": row.rank,
        "model": row.model,
        "settings": dict(row.settings),
        "standing": row.standing,
        "reason": row.reason or None,
        "interval_contains_best": row.tied,
        "mae": asdict(row.mae),
        "rmse": asdict(row.rmse) if row.rmse else None,
        "r2": asdict(row.r2) if row.r2 else None,
        "skill": row.skill,
        "parameters": row.parameters,
        "train_seconds": row.train_seconds,
        "train_cpu_seconds": row.train_cpu_seconds,
        "tier": row.tier,
        "folds": row.folds,
        "runs": [run.run_id for run in row.runs],
        "pages": [model_page(row.model), *(run_page(run.run_id) for run in row.runs)],
    }


def _model(board: Board, name: str) -> dict[str, Any]:
    known = board.facts.get(name)
    return {
        "card": board.models[name].model_dump(mode="json"),
        "facts": known.model_dump(mode="json") if known else None,
        "page": model_page(name),
    }


def _failure(run: Run) -> dict[str, Any]:
    spec, error = run.result.spec, run.result.error
    return {
        "run": run.run_id,
        "model": spec.model,
        "dataset": spec.dataset,
        "target": spec.target,
        "split": spec.split.model_dump(mode="json"),
        "kind": error.kind if error else None,
        "message": error.message if error else None,
    }
