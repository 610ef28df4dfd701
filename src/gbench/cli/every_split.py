"""``gbench run --split all``: one model under every scheme, from interpolation to extrapolation."""

from pathlib import Path
from typing import Any, NamedTuple

from gbench.cli.console import console, decimals, print_json, table
from gbench.cli.report import shown_scores
from gbench.cli.run import run_floors, run_one, track_run
from gbench.ranks import Place
from gbench.result import Metric, Result

BESIDE = ("trees", "dummy")


class Row(NamedTuple):
    """A scheme and what came of it."""

    scheme: str
    results: list[Result]
    """The model's, then those of the floors; empty where the scheme was passed over."""
    why_not: str = ""


def run_every_split(
    chosen: dict[str, Any],
    settings: list[str],
    results: Path,
    place: Place,
    *,
    allow_leak: bool,
    as_json: bool,
    tracking: bool,
) -> None:
    """Run fold 0 of every scheme that the dataset allows, then show them in one table.

    A scheme that cannot be made of the dataset, or that leaks while leaks are not allowed, is passed over in a line
    that says why.
    """
    from gbench.splitting import schemes

    rows = []
    for scheme in schemes():
        row = _run(scheme, chosen, settings, results, place, allow_leak=allow_leak, quiet=as_json)
        rows.append(row)
        if tracking:
            for result in row.results:
                track_run(results / result.run_id, quiet=True)
        if row.why_not and not as_json:
            console.print(f"passed over {scheme}: {row.why_not}", soft_wrap=True)
        if not as_json:
            console.print()
    if as_json:
        print_json([row.results[0].model_dump(mode="json") for row in rows if row.results])
    else:
        _show([row for row in rows if row.results])


def _run(
    scheme: str,
    chosen: dict[str, Any],
    settings: list[str],
    results: Path,
    place: Place,
    *,
    allow_leak: bool,
    quiet: bool,
) -> Row:
    from gbench.cards import validate
    from gbench.choices import Choices, parse_overrides, resolve
    from gbench.errors import DataError, SpecError, SplitError, UnknownNameError

    # parameters of one scheme, such as n_clusters, are for those that know them
    overrides = parse_overrides(settings)
    choices = validate(Choices, {**chosen, "split": scheme, "overrides": overrides}, "choices", SpecError)
    try:
        spec = resolve(choices)
    except UnknownNameError:
        others = {key: value for key, value in overrides.items() if not key.startswith("split.")}
        spec = resolve(choices.model_copy(update={"overrides": others}))
    try:
        result = run_one(spec, results, place, quiet=quiet, allow_leak=allow_leak)
    except (SplitError, DataError) as error:
        return Row(scheme, [], str(error))
    return Row(scheme, [result, *run_floors(spec, results, BESIDE)])


def _show(rows: list[Row]) -> None:
    if not rows:
        return
    shown = shown_scores(rows[0].results[0])
    main = [row.results[0].metrics[shown.name] for row in rows]
    places = decimals([metric.value for metric in main])
    model = rows[0].results[0].spec.model
    beside = [name for name in BESIDE if name != model]
    numbers = ("train", "val", "test", model, "95 % interval", *beside)
    made = table("split", *numbers, "verdict", right=numbers)
    for row, metric in zip(rows, main, strict=True):
        split = row.results[0].split
        floors = {result.spec.model: result.metrics[shown.name] for result in row.results[1:]}
        made.add_row(
            row.scheme,
            *(str(getattr(split, part)) for part in ("train", "val", "test")),
            f"{metric.value:.{places}f}",
            f"{metric.low:.{places}f} - {metric.high:.{places}f}",
            *(_value(floors.get(name), places) for name in beside),
            (split.verdict or "") if split else "",
        )
    unit = "" if main[0].unit == "1" else f", {main[0].unit}"
    console.print(f"test {shown.title}{unit}, fold 0 of every split", style="dim")
    console.print(made)


def _value(metric: Metric | None, places: int) -> str:
    return "" if metric is None else f"{metric.value:.{places}f}"
