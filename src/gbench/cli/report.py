"""What a run prints when it is done."""

import shlex
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd

from gbench.cli.console import console, decimals, table
from gbench.commands import brief_command
from gbench.content import content
from gbench.dataset import Dataset, load
from gbench.evaluate import independent_groups
from gbench.metrics import paired_bootstrap
from gbench.result import RESULT_FILE, Result, read_predictions, read_result


def report(result: Result, floors: list[Result], results: Path, tracked: str | None) -> None:
    """The table of a run and its floors, then where everything is."""
    ranked = sorted([result, *floors], key=lambda entry: entry.metrics["mae"].value)
    mae = [entry.metrics["mae"] for entry in ranked]
    places = decimals([metric.value for metric in mae])
    shown = table(
        "model", "test MAE", "95 % interval", "RMSE", "R2", "", right=("test MAE", "95 % interval", "RMSE", "R2")
    )
    for entry, metric in zip(ranked, mae, strict=True):
        style = "bold" if entry is result else ""
        shown.add_row(
            entry.spec.model,
            f"{metric.value:.{places}f}",
            f"{metric.low:.{places}f} - {metric.high:.{places}f}",
            f"{entry.metrics['rmse'].value:.{places}f}",
            f"{entry.metrics['r2'].value:.2f}",
            "" if entry is result else _compare(result, entry, results),
            style=style,
        )
    console.print()
    console.print(f"test scores in {mae[0].unit}, {result.split.test if result.split else 0} crystals", style="dim")
    console.print(shown)
    for line in other_splits(result):
        console.print(line, soft_wrap=True)
    console.print()
    folder = results / result.run_id
    console.print(f"result  {folder / 'result.json'}", soft_wrap=True)
    if tracked:
        console.print(f"MLflow  {tracked}", soft_wrap=True)
    elsewhere = "" if results == Path("results") else f" --results {shlex.quote(str(results))}"
    console.print(f"again   {brief_command(result.spec)}{elsewhere}", soft_wrap=True)


def other_splits(result: Result) -> list[str]:
    """What the same model with the same settings scores under the other splits, from the published results."""
    spec, scores = result.spec, defaultdict[str, list[float]](list)
    for path in sorted(content("leaderboard").glob(f"results/{spec.dataset}/{spec.model}/*/{RESULT_FILE}")):
        other = read_result(path.parent)
        same = other.spec.model_copy(update={"split": spec.split, "seed": spec.seed}) == spec
        if same and other.status == "ok" and other.spec.split.scheme != spec.split.scheme:
            scores[other.spec.split.scheme].append(other.metrics["mae"].value)
    unit = result.metrics["mae"].unit
    return [
        f"under the {scheme} split the same model scores {np.mean(values):.{decimals(values)}f} {unit} "
        f"(mean of {len(values)} folds, published)"
        for scheme, values in sorted(scores.items(), key=lambda entry: np.mean(entry[1]))
    ]


def report_folds(results: list[Result]) -> None:
    """Test MAE of each fold and their mean with a t interval."""
    from scipy.stats import t

    values = np.array([result.metrics["mae"].value for result in results])
    half = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    places = decimals(values.tolist())
    seconds = sum(result.cost.train_seconds for result in results if result.cost)
    listed = "  ".join(f"{value:.{places}f}" for value in values)
    console.print()
    console.print(
        f"{len(values)} folds   test MAE {values.mean():.{places}f} ± {half:.{places}f} "
        f"{results[0].metrics['mae'].unit} (95 % t interval over folds)   folds {listed}   {seconds:.0f} s of training",
        soft_wrap=True,
    )


def _compare(result: Result, other: Result, results: Path) -> str:
    dataset = load(result.spec.dataset)
    ours, theirs = (_absolute_errors(entry, dataset, results) for entry in (result, other))
    groups = independent_groups(dataset.crystals)[[dataset.row_of_id[name] for name in ours.index.get_level_values(0)]]
    errors, others = np.asarray(ours, np.float64), np.asarray(theirs.loc[ours.index], np.float64)
    p_value = paired_bootstrap(errors, others, groups)
    if p_value >= 0.05:
        return f"cannot be told apart from {result.spec.model}, p = {p_value:.2g}"
    better = ours.mean() < theirs.mean()
    return f"{result.spec.model} is {'better' if better else 'worse'}, p = {p_value:.2g}"


def _absolute_errors(result: Result, dataset: Dataset, results: Path) -> "pd.Series[float]":
    frame = read_predictions(results / result.run_id).query("part == 'test'").set_index(["id", "site"])
    rows = np.array([dataset.row_of_id[name] for name in frame.index.get_level_values("id")])
    labels = dataset.labels(result.spec.target)
    if dataset.card.targets[result.spec.target].level == "graph":
        label = labels[rows]
    else:
        label = labels[dataset.crystals.ptr[rows] + frame.index.get_level_values("site").to_numpy()]
    errors: pd.Series[float] = (frame["prediction"] - label).abs().dropna()
    return errors
