"""One run: spec in, result out. Idempotent: a finished run is read, an interrupted one goes on."""

import time
from pathlib import Path
from typing import Any

import filelock

from gbench.batch import import_dgl
from gbench.building import build_network, dtype_of, network_class, training_of
from gbench.cards import validate
from gbench.checkpoint import remove_checkpoint, restore_checkpoint
from gbench.choices import Choices, resolve
from gbench.cost import Spent, Stopwatch, training_flops
from gbench.devices import choose_device
from gbench.environment import environment
from gbench.errors import BusyError, DataError, SpecError, StorageError
from gbench.evaluate import Outcome, evaluate, failure
from gbench.held import Held
from gbench.model import Estimator, Head, Inputs, Model
from gbench.observer import Observer
from gbench.prepare import Prepared, check_leak, make_task, prepare
from gbench.ranks import Place
from gbench.registry import class_of, dataset_card
from gbench.result import RESULT_FILE, Result, read_predictions, read_result, write_result
from gbench.sampling import sampled
from gbench.spec import RunSpec
from gbench.storage import atomic_path, unwritable
from gbench.task import Task
from gbench.train import Fit, fit, predict

CHECKPOINT_FILE = "checkpoint.pt"
SPEC_FILE = "spec.json"
LOCK_FILE = ".lock"


def run(
    model: str,
    *,
    results: str | Path = "results",
    observer: Observer | None = None,
    allow_leak: bool = False,
    device: str = "auto",
    **choices: Any,
) -> Result:
    """Train and evaluate one model, given by its name or its folder (``./my_model``); ``gbench run`` in Python.

    ``choices`` are the fields of :class:`gbench.choices.Choices`: ``dataset``, ``target``, ``beside``, ``split``,
    ``fold``, ``seed``, ``overrides``. A network learns the targets ``beside`` together with ``target``; the results of
    those are written too, and are had by asking for them in the same way. The result lies in ``<results>/<run id>/``; a
    finished run is read, not repeated. A split whose test part has near-duplicates in train is refused unless
    ``allow_leak``; the result is marked for ever. A network is trained on ``device``: ``cpu``, ``cuda``, ``cuda:1``, or
    ``auto``, which is a GPU where there is one.

    Raises:
        GbenchError: a choice that does not exist or does not fit, data that cannot be had, a folder that cannot be
            written; the message is one sentence with the fix.
    """
    chosen = validate(Choices, {"model": model, **choices}, "gbench.run", SpecError)
    place = Place(choose_device(device))
    return run_spec(resolve(chosen), Path(results), observer, allow_leak=allow_leak, place=place)


def run_spec(
    spec: RunSpec,
    results: Path,
    observer: Observer | None = None,
    *,
    allow_leak: bool = False,
    held: Held | None = None,
    place: Place | None = None,
) -> Result:
    """The result of a spec, from ``<results>/<run id>/`` if it is there, else run, on a GPU unless told a ``place``.

    Where targets are learned together, one training writes the results of them all, each to its own folder. A run that
    fails leaves a Result with status ``error`` and raises; an interrupted one leaves a checkpoint. Many runs in one
    process may share what is ``held`` of their data.

    Raises:
        GbenchError: as :func:`run`.
        Interrupted: the observer asked to stop.
    """
    observer, folder = observer or Observer(), results / spec.run_id
    home = _home(spec, results)
    # a result is written last and never changed, so reading it needs no lock, and no folder that can be written
    finished = None if (home / CHECKPOINT_FILE).exists() else _finished(folder)
    if finished is not None:
        return _read(finished, folder, observer, allow_leak=allow_leak)
    lock = _lock(home)
    try:
        finished = _finished(folder)
        if finished is not None:
            _tidy(spec, results)
            return _read(finished, folder, observer, allow_leak=allow_leak)
        # a model or a framework that is not there is no failure of the run
        class_of(spec)
        if spec.config.get("framework") == "dgl":
            import_dgl()
        held, place = held or Held(), place or Place(choose_device())
        return _run(spec, results, observer, held, place, allow_leak=allow_leak)
    finally:
        lock.release()


def _home(spec: RunSpec, results: Path) -> Path:
    """Where the lock and the checkpoint of a training lie: the folder of the first target that it learns."""
    return results / spec.together()[0].run_id


def _read(finished: Result, folder: Path, observer: Observer, *, allow_leak: bool) -> Result:
    if finished.split is not None and finished.split.leaks:
        check_leak(finished.spec, finished.split.why or "", allow_leak=allow_leak)
    observer.finished(finished, folder)
    return finished


def _tidy(spec: RunSpec, results: Path) -> None:
    """Delete the checkpoint of a process that was killed between its last result and doing so itself."""
    if all(_finished(results / one.run_id) for one in spec.together()):
        remove_checkpoint(_home(spec, results) / CHECKPOINT_FILE)


def _lock(folder: Path) -> filelock.BaseFileLock:
    lock = filelock.FileLock(folder / LOCK_FILE, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout as error:
        raise BusyError(f"{folder}: another process is working on this run; wait for it to end") from error
    except OSError as error:
        raise unwritable(folder, error, "with --results choose") from error
    return lock


def _finished(folder: Path) -> Result | None:
    """The result in ``folder``, if the run ended well on the data the card names and its predictions are whole."""
    if not (folder / RESULT_FILE).is_file():
        return None
    result = read_result(folder)
    if result.status != "ok" or result.dataset is None:
        return None
    expected = dataset_card(result.spec.dataset).content_sha256
    if expected is not None and result.dataset.sha256 != expected:
        raise DataError(f"{folder}: made on other content of {result.spec.dataset}; delete the folder and run again")
    read_predictions(folder)
    return result


def _run(spec: RunSpec, results: Path, observer: Observer, held: Held, place: Place, *, allow_leak: bool) -> Result:
    checkpoint = _home(spec, results) / CHECKPOINT_FILE
    # a target that was finished before the others were lost keeps its result
    runs = [one for one in spec.together() if one == spec or _finished(results / one.run_id) is None]
    _remove_leftovers(checkpoint.parent)
    for one in runs:
        _begin(one, results / one.run_id)
    started = time.perf_counter()
    prepared: dict[str, Prepared] = {}
    try:
        own = prepare(spec, observer, allow_leak=allow_leak, held=held)
        prepared = {one.target: one for one in own.together}
        with sampled([results / one.run_id for one in runs], resumed=checkpoint.is_file()):
            outcomes = _outcomes(spec, own, checkpoint, observer, held, place)
        made = [
            evaluate(one, prepared[one.target], outcomes[one.target], results / one.run_id, started) for one in runs
        ]
    except StorageError:
        raise
    except Exception as error:
        for one in runs:
            write_result(results / one.run_id, failure(one, prepared.get(one.target), error))
        raise
    for result in made:
        write_result(results / result.run_id, result)
    remove_checkpoint(checkpoint)
    return next(result for result in made if result.run_id == spec.run_id)


def _begin(spec: RunSpec, folder: Path) -> None:
    _remove_leftovers(folder)
    # written first: `gbench run --spec` resumes from it
    with atomic_path(folder / SPEC_FILE) as temporary:
        temporary.write_text(spec.model_dump_json(indent=2) + "\n", encoding="utf-8")
    # found out now and remembered: the checkout may move on while training lasts, and memory may run out
    environment()


def _remove_leftovers(folder: Path) -> None:
    """Delete temporary files that a killed process left; the lock makes sure none is in use."""
    for path in folder.glob(".*"):
        if path.name != LOCK_FILE:
            path.unlink(missing_ok=True)


def _outcomes(
    spec: RunSpec, prepared: Prepared, checkpoint: Path, observer: Observer, held: Held, place: Place
) -> dict[str, Outcome]:
    """What the model delivers for each target it learns."""
    kind, about = class_of(spec), prepared.about
    if issubclass(kind, Estimator):
        config = kind.Config.model_validate(spec.config)
        return {spec.target: _fit_estimator(kind(config, Head(about.level, 1, about.directed), spec.seed), prepared)}
    note = restore_checkpoint(checkpoint)
    if note is not None:
        observer.note(note)
    place.ranks.call(spec.model_dump_json(), str(checkpoint))
    task, fitted = _train(spec, prepared, checkpoint, observer, held, place)
    epochs, size = len(fitted.history), training_of(spec).batch_size
    flops = training_flops(fitted.model, task, size, epochs)
    outcomes = {}
    for output, one in enumerate(prepared.together):
        own = fitted.of(output)
        with Stopwatch() as predicting:
            val, test = (predict(own, task, rows, size) for rows in (one.split.val, one.split.test))
        seconds = sum(epoch.seconds for epoch in fitted.history)
        spent = Spent(seconds, fitted.cpu_seconds, predicting.seconds, epochs, flops)
        outcomes[one.target] = Outcome(val, test, spent, own)
    return outcomes


def _train(
    spec: RunSpec, prepared: Prepared, checkpoint: Path, observer: Observer, held: Held, place: Place
) -> tuple[Task, Fit]:
    """The network, trained, and the task it was trained for."""
    training = training_of(spec)
    task = make_task(prepared, network_class(spec), dtype_of(training), held).on(place.device)

    def build() -> Model:
        network = build_network(spec, prepared.about)
        observer.model(network, training)
        return network

    return task, fit(build, task, training, spec.seed, checkpoint, observer.epoch, observer.stop, place)


def take_part(spec: RunSpec, checkpoint: Path, observer: Observer, place: Place) -> None:
    """Train with the first of several processes, which alone writes what comes of it."""
    # the first has measured the split and found it good, or was told to go on
    _train(spec, prepare(spec, Observer(), allow_leak=True), checkpoint, observer, Held(), place)


def _fit_estimator(estimator: Estimator, prepared: Prepared) -> Outcome:
    split = prepared.split
    inputs = Inputs.of(prepared.dataset.crystals, prepared.graphs)
    with Stopwatch() as fitting:
        estimator.fit(inputs, split.train, prepared.labels[prepared.items(split.train)])
    with Stopwatch() as predicting:
        val, test = estimator.predict(inputs, split.val), estimator.predict(inputs, split.test)
    return Outcome(val, test, Spent(fitting.seconds, fitting.cpu_seconds, predicting.seconds))
