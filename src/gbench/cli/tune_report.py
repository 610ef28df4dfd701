"""What ``gbench tune`` prints of trials, and when it is done."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gbench.cli.console import console, decimals, print_json, table
from gbench.commands import brief_command
from gbench.errors import TrainingError
from gbench.registry import dataset_card
from gbench.tuning.space import as_yaml
from gbench.tuning.study import Study, card_lines

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

SHOWN = 5
"""Trials in the table."""


def line(study: Study, trial: "FrozenTrial") -> str:
    """A trial that ended, on one line."""
    settings = study.tuning.settings(trial.params)
    words = "   ".join(f"{_short(key, settings)} {as_yaml(value)}" for key, value in settings.items())
    if "why" in trial.user_attrs:
        score = f"failed: {trial.user_attrs['why']}"
    elif trial.value is None or trial.state.name != "COMPLETE":
        score = f"given up after {len(trial.intermediate_values)} epochs"
    else:
        best = study.complete[0]
        places = decimals([best.value or 0.0])
        score = f"{trial.value:.{places}f}"
        score += "  best so far" if best.number == trial.number else f"  best {best.value:.{places}f}"
    return f"trial {trial.number:<3} {score:24}   {words}"


def _short(key: str, settings: Any) -> str:
    """The name of a setting, without its section where no other section has that name."""
    name = key.partition(".")[2]
    return name if sum(other.partition(".")[2] == name for other in settings) == 1 else key


def report(study: Study, results: Path, *, as_json: bool) -> None:
    """The best trials, what to run and what to write on the card; or all of it as JSON.

    Raises:
        TrainingError: no trial came to an end, and some failed.
    """
    complete = study.complete
    if as_json:
        print_json(_as_json(study, results))
    elif complete:
        _show_best(study, results)
    elif study.trials and (why := next((t.user_attrs["why"] for t in study.trials if "why" in t.user_attrs), None)):
        raise TrainingError(f"no trial of {study.folder} came to an end; the first failed: {why}")
    else:
        console.print(f"no trial of {study.folder} came to an end yet", soft_wrap=True)


def _command(study: Study, settings: dict[str, Any], results: Path) -> str:
    tuning = study.tuning
    folds = str(tuning.folds[0]) if len(tuning.folds) == 1 else "all"
    elsewhere = "" if results == Path("results") else f" --results {shlex.quote(str(results))}"
    return brief_command(tuning.spec(tuning.folds[0], settings), fold=folds) + elsewhere


def _show_best(study: Study, results: Path) -> None:
    tuning, complete = study.tuning, study.complete
    about = dataset_card(tuning.base[0].dataset).targets[tuning.base[0].target]
    settings = [tuning.settings(trial.params) for trial in complete[:SHOWN]]
    several = len(tuning.folds) > 1
    folds = [f"fold {fold}" for fold in tuning.folds] if several else []
    names = [_short(key, settings[0]) for key in settings[0]]
    numbers = ("trial", "val", *folds, "best epoch", "seconds")
    shown = table(*numbers, *names, right=(*numbers, *names))
    places = decimals([complete[0].value or 0.0])
    for trial, chosen in zip(complete, settings, strict=False):
        scores = [f"{score:.{places}f}" for score in trial.user_attrs["scores"]] if several else []
        epochs = ", ".join(map(str, trial.user_attrs["epochs"]))
        row = (str(trial.number), f"{trial.value:.{places}f}", *scores, epochs, f"{trial.user_attrs['seconds']:.0f}")
        shown.add_row(*row, *map(as_yaml, chosen.values()), style="bold" if trial is complete[0] else "")
    measure = "log loss" if about.task == "classification" else "MAE"
    unit = "" if about.unit == "1" or measure == "log loss" else f" in {about.unit}"
    begun, ended = len(study.trials), len(complete)
    console.print()
    console.print(
        f"lowest validation {measure}{unit}, the best {len(settings)} of {begun} trials ({ended} came to the end)",
        style="dim", soft_wrap=True,
    )  # fmt: skip
    console.print(shown)
    for line in _compared(study, places, unit):
        console.print(line, soft_wrap=True)
    console.print()
    shares = study.importance()
    if shares:
        words = "   ".join(f"{_short(key, settings[0])} {share:.0%}" for key, share in shares.items())
        console.print(f"share in how trials differ (fANOVA)   {words}", soft_wrap=True)
    console.print(f"run it    {_command(study, settings[0], results)}", soft_wrap=True)
    console.print(f"on the card (baselines/{tuning.base[0].model}/card.yaml), under tuned:", soft_wrap=True)
    console.print(card_lines(tuning, settings[0]), soft_wrap=True)


def _compared(study: Study, places: int, unit: str) -> list[str]:
    """The card's own settings beside the best."""
    chosen = study.tuning.card_settings()
    own = next((trial for trial in study.complete if chosen is not None and trial.params == chosen), None)
    if own is None or own.value is None:
        return []
    if own.number == study.complete[0].number:
        return [f"the card's own settings (trial {own.number}) are the best"]
    return [f"the card's own settings (trial {own.number}): {own.value:.{places}f}{unit}"]


def _as_json(study: Study, results: Path) -> dict[str, Any]:
    tuning = study.tuning
    trials = [
        {
            "number": trial.number,
            "state": "failed" if "why" in trial.user_attrs else trial.state.name.lower(),
            "value": trial.value if trial.state.name == "COMPLETE" else None,
            "settings": tuning.settings(trial.params) if trial.params.keys() == tuning.space.keys() else {},
            **{key: trial.user_attrs[key] for key in ("scores", "epochs", "seconds", "why") if key in trial.user_attrs},
        }
        for trial in study.trials
    ]
    found: dict[str, Any] = {"study": str(study.folder), "folds": tuning.folds, "space": tuning.space, "trials": trials}
    if study.complete:
        best = tuning.settings(study.complete[0].params)
        found["best"] = {
            "trial": study.complete[0].number,
            "value": study.complete[0].value,
            "settings": best,
            "command": _command(study, best, results),
            "card": card_lines(tuning, best),
        }
    return found
