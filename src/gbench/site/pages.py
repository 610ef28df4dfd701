"""The pages as text."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import gbench
from gbench.commands import full_command, repeat_command
from gbench.content import content
from gbench.result import read_history
from gbench.site import names, numbers
from gbench.site.board import Board
from gbench.site.payload import payload_text
from gbench.site.plots import Plot, curve, parity
from gbench.site.runs import Run, ScoredRun
from gbench.site.views import TableView, comparisons, evidence_link, row_label, table_view
from gbench.splitting import schemes


def render(board: Board) -> dict[str, str]:
    """Relative path -> content of every file of the site."""
    templates = environment(content("leaderboard") / "templates")
    views = [table_view(table, board.datasets.get(table.dataset)) for table in board.tables]
    shared = {"board": board, "views": views}
    pages = {"index.html": _page(templates, "index.html.j2", "", shared | {"comparisons": comparisons(views)})}
    for name in board.model_names:
        pages[names.model_page(name)] = _page(templates, "model.html.j2", "../", shared | _model(board, name, views))
    for name in board.dataset_names:
        pages[names.dataset_page(name)] = _page(templates, "dataset.html.j2", "../", shared | _dataset(board, name))
    for run in (*board.runs, *board.failures):
        pages[names.run_page(run.run_id)] = _page(templates, "run.html.j2", "../", shared | _run(board, run))
    return pages | {"leaderboard.json": payload_text(board)}


def environment(folder: Path) -> jinja2.Environment:
    """The templates: everything is escaped, and a name that is not given is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "fixed": numbers.fixed,
        "significant": numbers.significant,
        "percent": numbers.percent,
        "moment": numbers.moment,
        "decimals_for": numbers.decimals_for,
        "model_page": names.model_page,
        "dataset_page": names.dataset_page,
        "run_page": names.run_page,
    }
    style, script = (_inline(folder / file) for file in ("style.css", "site.js"))
    made.globals |= {
        "style": style,
        "script": script,
        "policy": _policy(style, script),
        "gbench_version": gbench.__version__,
        "evidence_link": evidence_link,
        "row_label": row_label,
        "scheme_words": scheme_words,
    }
    return made


def scheme_words(scheme: str) -> str:
    """What a split scheme does, in a sentence."""
    return schemes()[scheme].about if scheme in schemes() else ""


def _inline(path: Path) -> Markup:
    # inlined and allowed by hash: browsers disagree on what 'self' is for file://
    return Markup(path.read_text(encoding="utf-8"))  # noqa: S704 - our own file


def _policy(style: str, script: str) -> str:
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _page(templates: jinja2.Environment, template: str, root: str, values: dict[str, Any]) -> str:
    return templates.get_template(template).render(values | {"root": root})


def _model(board: Board, name: str, views: list[TableView]) -> dict[str, Any]:
    by_table = {id(view.table): view for view in views}
    places = [(by_table[id(table)], row) for table, row in board.rows_of(name)]
    known = {"card": board.models.get(name), "known": board.facts.get(name)}
    return known | {"name": name, "places": places, "failures": board.failures_of(name)}


def _dataset(board: Board, name: str) -> dict[str, Any]:
    return {"name": name, "card": board.datasets.get(name)}


def _run(board: Board, run: Run) -> dict[str, Any]:
    result = run.result
    evidence = board.evidence.get(run.run_id)
    unit = run.dataset.unit if isinstance(run, ScoredRun) else ""
    return {
        "run": run,
        "result": result,
        "spec": result.spec,
        "unit": unit,
        "reason": board.excluded.get(run.run_id, ""),
        "evidence": evidence,
        "parity": parity(evidence.labels, evidence.predictions) if evidence else None,
        "curves": _curves(run, unit),
        "repeat_command": repeat_command(run.run_id),
        "full_command": full_command(result.spec),
    }


def _curves(run: Run, unit: str) -> list[tuple[str, Plot]]:
    """Caption and drawing of what the training loop records."""
    history = read_history(run.folder)
    drawn = []
    for key, caption in (("val_mae", f"Validation MAE, {unit}"), ("train_loss", "Training loss, scaled units")):
        values = [(int(epoch["epoch"]), float(epoch[key])) for epoch in history if epoch.keys() >= {"epoch", key}]
        plot = curve(values, run.result.best_epoch if key == "val_mae" else None)
        if plot:
            drawn.append((caption, plot))
    return drawn
