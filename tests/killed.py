"""Run as a program: ``gbench run``, killed again and again; prints how each of its processes ended.

The processes are forked from this one, which has imported everything, so that a kill costs no start of Python.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

import torch._dynamo  # noqa: F401 - optimizers import it, which takes a second

import gbench.audit
import gbench.cli
import gbench.cli.progress
import gbench.cli.run
import gbench.runner
import gbench.train
from gbench.environment import environment
from gbench.registry import model_class
from gbench.storage import atomic_path

MOMENTS = ("begun", "half written", "written", "moved")
LAST = ("predictions.parquet", "history.json", "weights.safetensors", "result.json")


class Kill(NamedTuple):
    """When a process is killed."""

    file: str
    moment: str
    """``anywhere``: by its parent, which waits for the file to be begun, and then a moment longer."""
    nth: int
    """At which of the files of that name."""
    delay: float = 0.0


def kills(seed: int, targets: int) -> list[Kill]:
    """Twenty: fourteen in training and its checkpoints, one in every file of the result, one before cleaning up."""
    dice = random.Random(seed)
    training = [Kill("checkpoint.pt", "anywhere", dice.randint(1, 8), dice.uniform(0, 0.05)) for _ in range(7)]
    training += [Kill("checkpoint.pt", dice.choice(MOMENTS), dice.randint(1, 8)) for _ in range(7)]
    dice.shuffle(training)
    results = [Kill(name, dice.choice(MOMENTS[:3]), dice.randint(1, targets)) for name in ("spec.json", *LAST)]
    return [*training, *results, Kill("result.json", "moved", targets)]


def run(arguments: list[str], kill: Kill | None) -> int:
    """How ``gbench run`` ended: its exit code, or minus the signal."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _run_child(arguments, kill, writing)
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as told:
        if told.read(1):
            time.sleep(kill.delay if kill else 0)
            os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _run_child(arguments: list[str], kill: Kill | None, told: int) -> None:
    if kill is not None:
        _prepare_to_die(kill, told)
    # a checkpoint after every step
    gbench.train.CHECKPOINT_SECONDS = 0.0
    sys.argv = ["gbench", "run", *arguments]
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    code = 1
    try:
        gbench.cli.main()
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 0
    finally:
        os._exit(code)


def _prepare_to_die(kill: Kill, told: int) -> None:
    """Files are written as ever until the one and the moment have come."""
    enter, leave = atomic_path.__enter__, atomic_path.__exit__
    seen = 0

    def die_at(moment: str, path: atomic_path) -> None:
        if path.path.name != kill.file or seen != kill.nth:
            return
        if kill.moment == "anywhere" and moment == "begun":
            os.write(told, b"!")
        if kill.moment == moment:
            if moment == "half written":
                os.truncate(path.temporary, path.temporary.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    def entered(self: atomic_path) -> Path:
        nonlocal seen
        seen += self.path.name == kill.file
        temporary = enter(self)
        die_at("begun", self)
        return temporary

    def left(self: atomic_path, *error: object) -> None:
        die_at("half written", self)
        die_at("written", self)
        leave(self, *error)  # type: ignore[arg-type]
        die_at("moved", self)

    atomic_path.__enter__ = entered  # type: ignore[method-assign]
    atomic_path.__exit__ = left  # type: ignore[method-assign]


if __name__ == "__main__":
    whole, part, targets, seed, *settings = sys.argv[1:]
    model_class("cgcnn")
    environment()
    common = ["--model", "cgcnn", "--split", "formula", "--target", targets, "--no-floors", "--no-tracking", *settings]
    ends = [run([*common, "--results", whole], None)]
    ends += [run([*common, "--results", part], kill) for kill in kills(int(seed), len(targets.split(",")))]
    ends += [run([*common, "--results", part], None)]
    print(json.dumps(ends))
