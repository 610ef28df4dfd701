"""``gbench tune``: search the settings of a model on validation rows."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gbench.cli import complete
from gbench.cli.console import console, decimals, errors, print_json, table

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from gbench.tuning.study import Study, Tuning

SHOWN = 5
"""Trials in the table."""


def tune(
    model: Annotated[
        str,
        typer.Option(
            "--model", "-m", help="Of `gbench models list`, or a folder: ./my_model.", autocompletion=complete.models
        ),
    ],
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", "-d", help="A name of `gbench datasets list`.", autocompletion=complete.datasets),
    ] = None,
    target: Annotated[str | None, typer.Option("--target", "-t", help="Default: the dataset's own.")] = None,
    split: Annotated[
        str | None, typer.Option("--split", "-s", help="Of `gbench splits list`.", autocompletion=complete.schemes)
    ] = None,
    fold: Annotated[str, typer.Option("--fold", "-f", help="One or several: 0, or 1,3; or `all`.")] = "0",
    seed: Annotated[int, typer.Option("--seed", help="Of weights, batches and the search.")] = 0,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value that all trials have, e.g. training.epochs=50.")
    ] = None,
    space: Annotated[
        list[str] | None,
        typer.Option(
            help="What is searched: `built-in`, a YAML file, or section.key=log:1e-4:1e-2, float:0:0.5, int:2:5, or "
            "values as mean,max. Several add up; built-in unless given."
        ),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="How many there shall be in all, those of before counted.")] = 20,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Seconds after which to stop; the same command goes on.")
    ] = None,
    sampler: Annotated[str, typer.Option(help="tpe or random.")] = "tpe",
    pruner: Annotated[str, typer.Option(help="What ends trials that look bad: median, hyperband or none.")] = "median",
    name: Annotated[
        str | None, typer.Option(help="Of the study under <results>/tune/; made from all of the above unless given.")
    ] = None,
    results: Annotated[Path, typer.Option("--results", help="Where the study is kept.")] = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the trials and the best settings as JSON.")] = False,
) -> None:
    """Search settings by validation error, on train and validation rows alone.

    A search that was stopped or killed goes on with the same command; the same command in another terminal helps.
    """
    from gbench.tuning.study import Study

    given = {"model": model, "dataset": dataset, "target": target, "split": split, "seed": seed}
    tuning = _tuning(given, settings or [], fold, space or [], sampler, pruner)
    study = Study(tuning, results / "tune" / _checked(name or tuning.name))
    if not as_json:
        _show_plan(study, trials)
    interrupted = _search(study, trials, timeout, quiet=as_json)
    _report(study, results, as_json=as_json)
    if interrupted:
        raise typer.Exit(130)


def _tuning(
    given: dict[str, Any], settings: list[str], fold: str, space: list[str], sampler: Any, pruner: Any
) -> "Tuning":
    from typing import get_args

    from gbench.building import network_class
    from gbench.cards import validate
    from gbench.choices import Choices, parse_overrides, resolve
    from gbench.errors import SpecError, unknown
    from gbench.tuning.space import parse_space
    from gbench.tuning.study import Pruner, Sampler, Tuning

    for kind, value, known in (("sampler", sampler, get_args(Sampler)), ("pruner", pruner, get_args(Pruner))):
        if value not in known:
            raise unknown(kind, value, known)
    chosen = {name: value for name, value in given.items() if value is not None}
    choices = validate(Choices, {**chosen, "overrides": parse_overrides(settings)}, "choices", SpecError)
    network_class(resolve(choices))
    return Tuning.of(choices, _folds(fold, choices), parse_space(space, choices), sampler, pruner)


def _folds(text: str, choices: Any) -> tuple[int, ...]:
    from gbench.choices import resolve
    from gbench.dataset import load
    from gbench.errors import SpecError
    from gbench.splitting import fold_count

    if text == "all":
        return tuple(range(fold_count(load(choices.dataset), resolve(choices).split)))
    numbers = [part.strip() for part in text.split(",")]
    if not all(number.isdigit() for number in numbers) or len(set(numbers)) < len(numbers):
        raise SpecError(f"--fold {text}: give numbers from 0, each once, as 1,3, or `all`")
    return tuple(map(int, numbers))


def _checked(name: str) -> str:
    from gbench.errors import SpecError

    if not name or Path(name).name != name or name in (".", ".."):
        raise SpecError(f"--name {name}: it names a folder under <results>/tune/; give one without a separator")
    return name


def _show_plan(study: "Study", trials: int) -> None:
    from gbench import __version__
    from gbench.registry import dataset_card

    tuning, spec = study.tuning, study.tuning.base[0]
    unit = dataset_card(spec.dataset).targets[spec.target].unit
    console.print(
        f"gbench {__version__}   {spec.model} on {spec.dataset}@{spec.version} / {spec.target} ({unit})", soft_wrap=True
    )
    folds = ", ".join(map(str, tuning.folds))
    several = f"folds {folds}, mean of their validation parts" if len(tuning.folds) > 1 else f"fold {folds}, validation"
    console.print(f"split    {spec.split.scheme} {several}; test rows are left out of the data", soft_wrap=True)
    console.print(f"search   {tuning.sampler}, pruner {tuning.pruner}, seed {spec.seed}")
    width = max(map(len, tuning.space))
    for key, what in tuning.parameters.items():
        console.print(f"         {key:{width}}   {what}", soft_wrap=True)
    begun = len(study.trials)
    console.print(f"study    {study.folder}   {begun} of {max(begun, trials)} trials begun", soft_wrap=True)
    if tuning.card_settings() is None:
        console.print("         the card's own settings are not all in the space, so no trial has them")


def _search(study: "Study", trials: int, timeout: float | None, *, quiet: bool) -> bool:
    """Search; whether Ctrl-C ended it."""
    from gbench.cli.progress import StopOnInterrupt
    from gbench.train import Interrupted
    from gbench.tuning.trial import Step, Watch, search
    from gbench.waiting import bar

    started = time.monotonic()

    def late() -> bool:
        return timeout is not None and time.monotonic() - started > timeout

    with StopOnInterrupt() as interrupt, bar("epochs", None) as advance:

        def ended(trial: "FrozenTrial") -> None:
            if not quiet:
                console.print(_line(study, trial), soft_wrap=True)

        def step(_: Step) -> None:
            advance(1)

        try:
            search(study, trials, Watch(ended, step, lambda: interrupt.asked or late(), interrupt.arm))
        except Interrupted:
            errors.print("stopped; the same command goes on with the trial under way, from its checkpoint")
        else:
            if late():
                errors.print("stopped; the same command goes on")
        return interrupt.asked


def _line(study: "Study", trial: "FrozenTrial") -> str:
    """A trial that ended, on one line."""
    from gbench.tuning.space import as_yaml

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


def _report(study: "Study", results: Path, *, as_json: bool) -> None:
    from gbench.errors import TrainingError

    complete = study.complete
    if as_json:
        print_json(_as_json(study, results))
    elif complete:
        _show_best(study, results)
    elif study.trials and (why := next((t.user_attrs["why"] for t in study.trials if "why" in t.user_attrs), None)):
        raise TrainingError(f"no trial of {study.folder} came to an end; the first failed: {why}")
    else:
        console.print(f"no trial of {study.folder} came to an end yet", soft_wrap=True)


def _command(study: "Study", settings: dict[str, Any], results: Path) -> str:
    import shlex

    from gbench.commands import brief_command

    tuning = study.tuning
    folds = str(tuning.folds[0]) if len(tuning.folds) == 1 else "all"
    elsewhere = "" if results == Path("results") else f" --results {shlex.quote(str(results))}"
    return brief_command(tuning.spec(tuning.folds[0], settings), fold=folds) + elsewhere


def _show_best(study: "Study", results: Path) -> None:
    from gbench.registry import dataset_card
    from gbench.tuning.space import as_yaml
    from gbench.tuning.study import card_lines

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


def _compared(study: "Study", places: int, unit: str) -> list[str]:
    """The card's own settings beside the best."""
    chosen = study.tuning.card_settings()
    own = next((trial for trial in study.complete if chosen is not None and trial.params == chosen), None)
    if own is None or own.value is None:
        return []
    if own.number == study.complete[0].number:
        return [f"the card's own settings (trial {own.number}) are the best"]
    return [f"the card's own settings (trial {own.number}): {own.value:.{places}f}{unit}"]


def _as_json(study: "Study", results: Path) -> dict[str, Any]:
    from gbench.tuning.study import card_lines

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
