"""``gbench tune``: search the settings of a model on validation rows."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gbench.cli import complete
from gbench.cli.console import console, errors
from gbench.cli.signals import REQUEUE, requeued

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from gbench.tuning.study import Study, Tuning


@requeued()
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
    from gbench.cli.tune_report import report
    from gbench.tuning.study import Study

    given = {"model": model, "dataset": dataset, "target": target, "split": split, "seed": seed}
    tuning = _tuning(given, settings or [], fold, space or [], sampler, pruner)
    study = Study(tuning, results / "tune" / _checked(name or tuning.name))
    if not as_json:
        _show_plan(study, trials)
    code = _search(study, trials, timeout, quiet=as_json)
    report(study, results, as_json=as_json)
    if code:
        raise typer.Exit(code)


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


def _search(study: "Study", trials: int, timeout: float | None, *, quiet: bool) -> int:
    """Search; the exit code: that of Ctrl-C or SIGTERM where one ended it."""
    from gbench.cli.tune_report import line
    from gbench.stopping import StopOnInterrupt
    from gbench.train import Interrupted
    from gbench.tuning.trial import Step, Watch, search
    from gbench.waiting import bar

    started = time.monotonic()

    def late() -> bool:
        return timeout is not None and time.monotonic() - started > timeout

    with StopOnInterrupt() as interrupt, bar("epochs", None) as advance:

        def ended(trial: "FrozenTrial") -> None:
            if not quiet:
                console.print(line(study, trial), soft_wrap=True)

        def step(_: Step) -> None:
            advance(1)

        try:
            search(study, trials, Watch(ended, step, lambda: interrupt.asked or late(), interrupt.arm))
        except Interrupted:
            errors.print("stopped; the same command goes on with the trial under way, from its checkpoint")
        else:
            if late():
                errors.print("stopped; the same command goes on")
        return REQUEUE if interrupt.terminated else 130 if interrupt.asked else 0
