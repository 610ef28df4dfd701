"""What a run prints when it is done."""

import shlex
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from gbench.cli.console import console, decimals, table
from gbench.commands import brief_command
from gbench.content import content
from gbench.dataset import Dataset, load
from gbench.evaluate import independent_groups
from gbench.predictions import item_positions
from gbench.registry import dataset_card
from gbench.result import RESULT_FILE, Cost, Result, read_predictions, read_result
from gbench.stats import paired_bootstrap, t_interval


class Shown(NamedTuple):
    """What the table shows of a task: the score models are ranked by, and others beside it."""

    title: str
    name: str
    beside: dict[str, str]


SHOWN = {
    "regression": Shown("MAE", "mae", {"RMSE": "rmse", "R2": "r2"}),
    "classification": Shown("ROC AUC", "roc_auc", {"F1": "f1", "log loss": "log_loss"}),
}


def shown_scores(result: Result) -> Shown:
    """What to show of a result."""
    shown = SHOWN[dataset_card(result.spec.dataset).targets[result.spec.target].task]
    # one class alone has no ROC curve
    return shown if shown.name in result.metrics else Shown("mean |error|", "mae", {})


def report(result: Result, floors: list[Result], results: Path, tracked: str | None) -> None:
    """The table of a run and its floors, then where everything is."""
    scores = shown_scores(result)
    sign = -1 if result.metrics[scores.name].better == "higher" else 1
    ranked = sorted([result, *floors], key=lambda entry: sign * entry.metrics[scores.name].value)
    main = [entry.metrics[scores.name] for entry in ranked]
    places = decimals([metric.value for metric in main])
    numbers = (f"test {scores.title}", "95 % interval", *scores.beside)
    shown = table("model", *numbers, "", right=numbers)
    for entry, metric in zip(ranked, main, strict=True):
        style = "bold" if entry is result else ""
        shown.add_row(
            entry.spec.model,
            f"{metric.value:.{places}f}",
            f"{metric.low:.{places}f} - {metric.high:.{places}f}",
            *(_score(entry, name, places) for name in scores.beside.values()),
            "" if entry is result else _compare(result, entry, results),
            style=style,
        )
    unit = "" if main[0].unit == "1" else f" in {main[0].unit}"
    console.print()
    about = f"{result.spec.target}, learned with {', '.join(result.spec.beside)}: " if result.spec.beside else ""
    console.print(f"{about}test scores{unit}, {result.split.test if result.split else 0} crystals", style="dim")
    console.print(shown)
    if result.split is not None and result.split.leaks:
        console.print(f"marked as leaking: {result.split.why}", soft_wrap=True)
    for line in other_splits(result):
        console.print(line, soft_wrap=True)
    console.print()
    if result.dataset is not None and result.dataset.errata:
        console.print(f"errata  {result.dataset.errata}   gbench datasets info {result.dataset.name}", soft_wrap=True)
    if result.cost is not None:
        console.print(f"cost    {'   '.join(_costs(result.cost))}", soft_wrap=True)
    folder = results / result.run_id
    console.print(f"result  {folder / 'result.json'}", soft_wrap=True)
    if tracked:
        console.print(f"MLflow  {tracked}", soft_wrap=True)
    elsewhere = "" if results == Path("results") else f" --results {shlex.quote(str(results))}"
    console.print(f"again   {brief_command(result.spec)}{elsewhere}", soft_wrap=True)


def _costs(cost: Cost) -> Iterator[str]:
    """What training took, what a second brings, memory and machine; a result of before says less."""
    cpu = "" if cost.train_cpu_seconds is None else f", {cost.train_cpu_seconds:.3g} s of processor time"
    yield f"{cost.train_seconds:.3g} s of training{cpu}"
    rates = {"trained": cost.train_crystals_per_second, "predicted": cost.predict_crystals_per_second}
    said = [f"{rate:,.0f} {what}" for what, rate in rates.items() if rate is not None]
    if said:
        yield f"crystals/s: {', '.join(said)}"
    if cost.train_flops is not None:
        yield f"{cost.train_flops / 1e9:.3g} GFLOP"
    yield f"{cost.peak_memory_mb:.0f} MB"
    yield f"{cost.device}, {cost.threads} thread{'' if cost.threads == 1 else 's'}"


def _score(result: Result, name: str, places: int) -> str:
    # a score that is not defined, as R2 where all labels are equal, is left out of a result
    metric = result.metrics.get(name)
    return "" if metric is None else f"{metric.value:.{2 if name == 'r2' else places}f}"


def other_splits(result: Result) -> list[str]:
    """What the same model with the same settings scores under the other splits, from the published results."""
    spec, shown, scores = result.spec, shown_scores(result), defaultdict[str, list[float]](list)
    for path in sorted(content("leaderboard").glob(f"results/{spec.dataset}/{spec.model}/*/{RESULT_FILE}")):
        other = read_result(path.parent)
        same = other.spec.model_copy(update={"split": spec.split, "seed": spec.seed}) == spec
        if same and other.status == "ok" and other.spec.split.scheme != spec.split.scheme:
            scores[other.spec.split.scheme].append(other.metrics[shown.name].value)
    unit = result.metrics[shown.name].unit
    return [
        f"under the {scheme} split the same model scores {np.mean(values):.{decimals(values)}f} {unit} "
        f"(mean of {len(values)} folds, published)"
        for scheme, values in sorted(scores.items(), key=lambda entry: np.mean(entry[1]))
    ]


def report_folds(results: list[Result], *, named: bool = False) -> None:
    """Main test score of each fold and their mean with a t interval; ``named`` says of which target."""
    shown = shown_scores(results[0])
    values = [result.metrics[shown.name].value for result in results]
    mean, (_, high) = float(np.mean(values)), t_interval(values)
    places = decimals(values)
    seconds = sum(result.cost.train_seconds for result in results if result.cost)
    listed = "  ".join(f"{value:.{places}f}" for value in values)
    console.print()
    about = f"{results[0].spec.target}   " if named else ""
    console.print(
        f"{about}{len(values)} folds   test {shown.title} {mean:.{places}f} ± {high - mean:.{places}f} "
        f"{results[0].metrics[shown.name].unit} (95 % t interval over folds)   "
        f"folds {listed}   {seconds:.0f} s of training",
        soft_wrap=True,
    )


def _compare(result: Result, other: Result, results: Path) -> str:
    dataset = load(result.spec.dataset)
    ours, theirs = (_absolute_errors(entry, dataset, results) for entry in (result, other))
    both = ours.index.intersection(theirs.index)
    groups = independent_groups(dataset.crystals)[dataset.row_of_item(result.spec.target)[both]]
    errors, others = np.asarray(ours.loc[both], np.float64), np.asarray(theirs.loc[both], np.float64)
    p_value = paired_bootstrap(errors, others, groups)
    if p_value >= 0.05:
        return f"cannot be told apart from {result.spec.model}, p = {p_value:.2g}"
    better = errors.mean() < others.mean()
    return f"{result.spec.model} is {'better' if better else 'worse'}, p = {p_value:.2g}"


def _absolute_errors(result: Result, dataset: Dataset, results: Path) -> "pd.Series[float]":
    """By position in the label array."""
    target = result.spec.target
    frame = read_predictions(results / result.run_id).query("part == 'test'")
    positions = item_positions(dataset, target, frame)
    errors = np.abs(frame["prediction"].to_numpy(np.float64) - dataset.labels(target)[positions])
    return pd.Series(errors, index=positions).dropna()
