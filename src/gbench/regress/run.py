"""A suite, run: checked against its reference, or recorded as the new one."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import torch

from gbench.cards import Frozen
from gbench.environment import environment
from gbench.errors import TrainingError
from gbench.regress.checks import (
    Check,
    check_errors,
    check_graphs,
    check_published,
    check_speed,
    check_weights,
)
from gbench.regress.published import again, published_runs
from gbench.regress.reference import Record, Reference, read_reference, record_of, write_reference
from gbench.regress.speed import speed_ratio
from gbench.regress.suite import SpeedCase, Suite, TrainingCase, read_suite
from gbench.regress.trainings import Trained, train
from gbench.result import Environment

Say = Callable[[str], None]
TRIES = 3
"""A speed that looks like a regression is measured again so often at most: what is slow stays slow."""


class Report(Frozen):
    """What a suite found."""

    suite: str
    checks: tuple[Check, ...]
    seconds: float
    environment: Environment
    reference: Environment
    """Where the reference was recorded."""

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return not self.failed

    @property
    def failed(self) -> list[Check]:
        """The regressions."""
        return [check for check in self.checks if not check.ok]


def run_suite(path: Path, say: Say = lambda _: None) -> Report:
    """Check a suite against its stored reference; ``say`` hears what is being done.

    Raises:
        SpecError: the suite or its reference does not fit.
        GbenchError: as :func:`gbench.run`.
    """
    started = time.perf_counter()
    suite = read_suite(path)
    reference = read_reference(path, suite)
    # a name that is not there is found before anything is trained
    for case in suite.published:
        published_runs(case)
    with _apart():
        checks = list(_checks(suite, reference, say))
    return Report(
        suite=str(path),
        checks=tuple(checks),
        seconds=time.perf_counter() - started,
        environment=environment(),
        reference=reference.record.environment,
    )


def record_suite(path: Path, say: Say = lambda _: None) -> Path:
    """Run a suite and store what it leaves as its reference; the folder that holds it.

    Raises:
        GbenchError: as :func:`run_suite`.
    """
    suite = read_suite(path)
    with _apart():
        trained = {case.name: _train(case, say) for case in suite.trainings}
        speed = {}
        for case in suite.speed:
            say(f"speed of {case.work}")
            # the middle of three: a reference must not be a lucky one
            speed[case.work] = sorted(speed_ratio(case.work) for _ in range(TRIES))[TRIES // 2]
    record = Record(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        environment=environment(),
        trainings={name: record_of(one) for name, one in trained.items()},
        speed=speed,
    )
    return write_reference(path, record, trained)


def _checks(suite: Suite, reference: Reference, say: Say) -> Iterator[Check]:
    trained: dict[str, Trained] = {}
    for case in suite.trainings:
        stored = reference.record.trainings[case.name]
        try:
            one = _train(case, say)
        except TrainingError as error:
            yield Check(
                kind="errors", name=case.name, ok=False, expected="a trained network", found="an error", why=str(error)
            )
            continue
        trained[case.name] = one
        yield check_graphs(case.name, one, stored)
        yield check_weights(case.name, one, stored)
    yield from check_errors(trained, {name: reference.errors_of(name) for name in trained}, suite)
    for published in suite.published:
        say(f"published {published.model}, {published.split} split")
        yield check_published(published, again(published))
    for speed in suite.speed:
        say(f"speed of {speed.work}")
        yield _speed(speed, reference.record.speed[speed.work])


def _speed(case: SpeedCase, stored: float) -> Check:
    check = check_speed(case, stored, speed_ratio(case.work))
    for _ in range(TRIES - 1):
        if check.ok:
            break
        check = check_speed(case, stored, speed_ratio(case.work))
    return check


def _train(case: TrainingCase, say: Say) -> Trained:
    say(f"training {case.name}, {case.seeds} seeds")
    return train(case)


@contextmanager
def _apart() -> Iterator[None]:
    """One thread, so that a machine's cores do not change how sums are rounded, and a cache of its own.

    Graphs in the user's cache were perhaps built by the code as it was before.
    """
    threads, cache = torch.get_num_threads(), os.environ.get("GBENCH_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GBENCH_CACHE"] = folder
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            if cache is None:
                del os.environ["GBENCH_CACHE"]
            else:
                os.environ["GBENCH_CACHE"] = cache
