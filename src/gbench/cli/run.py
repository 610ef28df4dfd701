"""``gbench run``: train and evaluate one model, beside the floors that matter."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gbench.cli import complete
from gbench.cli.console import errors, print_json
from gbench.cli.follow import follow, process_number
from gbench.cli.signals import REQUEUE, Terminated, requeued

if TYPE_CHECKING:
    from gbench.ranks import Place
    from gbench.result import Result
    from gbench.spec import RunSpec

FLOORS = ("trees", "knn", "dummy")
AS_IT_WAS = "--spec repeats a run as it was; leave out --model, --dataset, --set and the like, or --spec"


@requeued()
def run(
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", help="Of `gbench models list`, or a folder: ./my_model.", autocompletion=complete.models
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", "-d", help="A name of `gbench datasets list`.", autocompletion=complete.datasets),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", help="Default: the dataset's own. Several, as gap,homo: in one network."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", "-s", help="Of `gbench splits list`, or `all`.", autocompletion=complete.schemes),
    ] = None,
    fold: Annotated[str | None, typer.Option("--fold", "-f", help="A number from 0, or `all`.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of weights and batches.")] = None,
    framework: Annotated[
        str | None, typer.Option("--framework", help="pyg or dgl: what a network's edge operations are done with.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value, e.g. training.epochs=50, model.hidden=64.")
    ] = None,
    spec: Annotated[
        str | None, typer.Option("--spec", help="Run id or file: run again, or resume, exactly that.")
    ] = None,
    results: Annotated[Path, typer.Option("--results", help="Where results are written.")] = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the Result and nothing else.")] = False,
    allow_leak: Annotated[
        bool,
        typer.Option("--allow-leak", help="Train although test has near-duplicates in train; marks the result."),
    ] = False,
    floors: Annotated[bool, typer.Option(help="Also run trees, knn and dummy on the same split.")] = True,
    tracking: Annotated[bool, typer.Option(help="Mirror results to MLflow.")] = True,
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu, cuda or cuda:1: where a network is trained.")
    ] = "auto",
) -> None:
    """Train one model and compare it with the floors on the same test crystals.

    Several targets of one level are learned together by one network, and give a result and a table each; a model that
    fits itself, as the floors do, learns them one after the other.

    `torchrun --nproc-per-node 4 -m gbench run ...` trains one network with four processes, each on its own GPU.
    """
    if process_number():
        follow(device)
        return
    from gbench.errors import SpecError
    from gbench.flags import framework_setting
    from gbench.plugins import is_path

    given = {"model": model, "dataset": dataset, "target": target, "split": split, "seed": seed}
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = settings or []
    if model and framework:
        settings = [*settings, *(f"{key}={value}" for key, value in framework_setting(model, framework).items())]
    if split == "all":
        if _with_targets(chosen).get("beside"):
            raise SpecError(f"--split all takes one target, not {target}; run it for each")
        from gbench.cli.every_split import run_every_split
        from gbench.ranks import joined

        with joined(device) as place:
            run_every_split(chosen, settings, results, place, allow_leak=allow_leak, as_json=as_json, tracking=tracking)
        return
    if spec is None:
        groups = _specs(chosen, settings, fold or "0")
    elif chosen.keys() - {"model"} or settings or fold or (model is not None and not is_path(model)):
        raise SpecError(AS_IT_WAS)
    else:
        groups = [_read_spec(spec, results, model).together()]
    from gbench.ranks import joined

    with joined(device) as place:
        _run_groups(groups, results, place, allow_leak=allow_leak, as_json=as_json, floors=floors, tracking=tracking)


def _run_groups(
    groups: "list[tuple[RunSpec, ...]]",
    results: Path,
    place: "Place",
    *,
    allow_leak: bool,
    as_json: bool,
    floors: bool,
    tracking: bool,
) -> None:
    """Run the targets of each fold, and show what came of them."""
    from gbench.cli.report import report, report_folds

    done = []
    for number, one in (numbered for group in groups for numbered in enumerate(group)):
        # the first of those that are learned together has trained the others
        quiet = as_json or (number > 0 and bool(one.beside))
        result = run_one(one, results, place, quiet=quiet, allow_leak=allow_leak)
        beside = [] if as_json or not floors else run_floors(one, results)
        notes = [track_run(results / r.run_id, quiet=as_json) for r in (result, *beside)] if tracking else []
        done.append(result)
        if not as_json:
            report(result, beside, results, notes[0] if notes else None)
    if as_json:
        shown = [result.model_dump(mode="json") for result in done]
        print_json(shown[0] if len(shown) == 1 else shown)
    elif len(groups) > 1:
        for one in groups[0]:
            folds = [result for result in done if result.spec.target == one.target]
            report_folds(folds, named=len(groups[0]) > 1)


def _with_targets(chosen: dict[str, Any]) -> dict[str, Any]:
    """What was chosen, with the targets of ``gap,homo`` taken apart."""
    from gbench.choices import Choices
    from gbench.flags import targets_of

    if "target" not in chosen:
        return chosen
    dataset = chosen.get("dataset", Choices.model_fields["dataset"].default)
    return {**chosen, **targets_of(dataset, chosen["target"])._asdict()}


def _specs(chosen: dict[str, Any], settings: list[str], fold: str) -> "list[tuple[RunSpec, ...]]":
    """For each fold the specs of the targets."""
    from gbench.cards import validate
    from gbench.choices import Choices, parse_overrides, resolve_each
    from gbench.errors import SpecError
    from gbench.flags import folds_of

    if "model" not in chosen:
        raise SpecError("say which model to run: --model NAME (`gbench models list`), or --spec RUN_ID to repeat a run")
    choices = validate(Choices, {**_with_targets(chosen), "overrides": parse_overrides(settings)}, "choices", SpecError)
    return [resolve_each(choices.model_copy(update={"fold": number})) for number in folds_of(choices, fold)]


def _read_spec(name: str, results: Path, model: str | None = None) -> "RunSpec":
    """The spec of a run, checked. ``model`` is where the model of a folder lies now: code runs from there alone."""
    import json

    from gbench.cards import validate
    from gbench.choices import check
    from gbench.content import content
    from gbench.errors import SpecError
    from gbench.runner import SPEC_FILE
    from gbench.spec import RunSpec

    places = [Path(name), results / name / SPEC_FILE, *content("leaderboard").glob(f"results/**/{name}/result.json")]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise SpecError(f"--spec {name}: no such file, and no run of that id under {results} or on the leaderboard")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SpecError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(raw, dict):
        raise SpecError(f"{path}: not a spec; give a run id, a spec.json or a result.json")
    spec = validate(RunSpec, raw.get("spec", raw), str(path), SpecError)
    if spec.origin is None or spec.origin.path is None:
        if model is not None:
            raise SpecError(AS_IT_WAS)
        return check(spec)
    if model is None:
        raise SpecError(
            f"--spec {name}: its model {spec.model!r} lay in {spec.origin.path}; code is run only from a folder that "
            f"you name, so add --model {spec.origin.path}"
        )
    return check(spec.model_copy(update={"origin": spec.origin.model_copy(update={"path": model})}))


def run_one(spec: "RunSpec", results: Path, place: "Place", *, quiet: bool, allow_leak: bool) -> "Result":
    """Run a spec, watched; Ctrl-C says how to go on and leaves with 130, SIGTERM with 75."""
    from gbench.cli.progress import ConsoleObserver
    from gbench.registry import model_card
    from gbench.runner import run_spec
    from gbench.stopping import QuietObserver, StopOnInterrupt
    from gbench.train import Interrupted

    with StopOnInterrupt() as interrupt:
        try:
            if quiet:
                result = run_spec(spec, results, QuietObserver(interrupt), allow_leak=allow_leak, place=place)
            else:
                framework = spec.config.get("framework", model_card(spec.reference).framework)
                with ConsoleObserver(spec, framework, interrupt) as observer:
                    result = run_spec(spec, results, observer, allow_leak=allow_leak, place=place)
        except Interrupted:
            again = shlex.join(["gbench", "run", "--spec", spec.run_id, "--results", str(results)])
            again += f" --model {shlex.quote(spec.reference)}" if spec.reference != spec.model else ""
            again += " --allow-leak" if allow_leak else ""
            errors.print(f"stopped; the checkpoint is safe. Go on with: {again}", soft_wrap=True)
            raise typer.Exit(REQUEUE if interrupt.terminated else 130) from None
    if interrupt.terminated:
        # it came after training, while the result was made; what is left is for the next time
        raise Terminated
    return result


def run_floors(spec: "RunSpec", results: Path, names: Sequence[str] = FLOORS) -> "list[Result]":
    """The floors on the same split, quietly; whoever allowed the model a leak allowed it to them."""
    from gbench.choices import Choices, resolve
    from gbench.registry import dataset_card, model_card
    from gbench.runner import run_spec
    from gbench.stopping import QuietObserver, StopOnInterrupt

    level = dataset_card(spec.dataset).targets[spec.target].level
    split = spec.split.model_dump(exclude={"scheme", "fold"})
    found = []
    for name in names:
        if name == spec.model or level not in model_card(name).levels:
            continue
        floor = resolve(
            Choices(
                model=name, dataset=spec.dataset, target=spec.target, split=spec.split.scheme, fold=spec.split.fold,
                seed=spec.seed, overrides={f"split.{key}": value for key, value in split.items()},
            )
        )  # fmt: skip
        with StopOnInterrupt() as interrupt:
            found.append(run_spec(floor, results, QuietObserver(interrupt), allow_leak=True))
    return found


def track_run(folder: Path, *, quiet: bool) -> str:
    """One line on where the run is in MLflow, or why it is not; tracking never fails a run."""
    from gbench.tracking import TrackingError, track
    from gbench.tracking.server import show_command

    try:
        made = track(folder)
    except TrackingError as error:
        if quiet:
            errors.print(f"warning: {error}", soft_wrap=True)
        return f"not tracked: {error}"
    return f"run {made.run_id[:8]}..   {show_command(made.uri)}"
