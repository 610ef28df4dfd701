"""Suites, models that misbehave, and the command, for the tests of sweeps."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from gbench.new_model import write_new_model
from gbench.result import RESULT_FILE, Result, read_result
from gbench.sweep.executor import Executor
from gbench.sweep.expand import Training, expand
from gbench.sweep.local import Local
from gbench.sweep.suite import read_suite
from gbench.sweep.sweep import Stop, Sweep, SweepObserver
from gbench.sweep.work import Outcome

MAIN = [sys.executable, "-c", "from gbench.cli import main; main()"]
CARD = {
    "title": "Odd", "description": "A model that misbehaves.", "framework": "numpy", "licence": "MIT",
    "levels": ["graph"], "symmetries": [],
}  # fmt: skip
ODD = """
import os, signal
from pathlib import Path
import numpy as np
from gbench.model import Estimator

class Odd(Estimator):
    def fit(self, inputs, rows, labels):
        here = Path({folder!r})
        {act}

    def predict(self, inputs, rows):
        return np.zeros(len(rows))
"""
DIES = 'if not (here / "spare").exists(): os.kill(os.getpid(), signal.SIGKILL)'
SEGFAULT = 'print("stack smashed", flush=True); import faulthandler; faulthandler._sigsegv()'
RAISES = 'raise ZeroDivisionError("no such luck")'
WAITS = """import time; (here / f"began-{os.getpid()}").touch()
        while not (here / "spare").exists(): time.sleep(0.05)"""


def odd_model(folder: Path, name: str, act: str) -> str:
    """The folder of a model that does ``act`` when it is fitted."""
    (folder / name).mkdir()
    (folder / name / "card.yaml").write_text(yaml.safe_dump({"name": name, **CARD}))
    (folder / name / "model.py").write_text(ODD.format(act=act, folder=str(folder)))
    return str(folder / name)


def endless_model(folder: Path) -> str:
    """The folder of a network that leaves a file ``began-<process>`` once it is trained."""
    write_new_model("endless", folder)
    path = folder / "endless" / "model.py"
    code = path.read_text()
    mark = f"(Path({str(folder)!r}) / f'began-{{os.getpid()}}').touch()"
    code = code.replace("        # multiplied once", f"        {mark}\n        # multiplied once")
    path.write_text(code.replace("from torch import", "import os\nfrom pathlib import Path\n\nfrom torch import"))
    return str(folder / "endless")


def write_suite(folder: Path, **content: Any) -> Path:
    """A suite file; tiny unless it says otherwise."""
    path = folder / "suite.yaml"
    base = {"dataset": "pbe_prototypes", "split": "formula", **content.pop("base", {})}
    path.write_text(yaml.safe_dump({"about": "a test", "base": base, **content}, sort_keys=False))
    return path


def start(*arguments: object, **environment: str) -> "subprocess.Popen[str]":
    """``gbench suite run`` under way, on two cores, whatever there are."""
    return subprocess.Popen(
        [*MAIN, "suite", "run", *map(str, arguments), "--no-tracking"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1", "LOKY_MAX_CPU_COUNT": "2", **environment},
    )


class KeptPool(Local):
    """Workers that stay when a sweep is over."""

    def __exit__(self, *_: object) -> None:
        pass

    def close(self) -> None:
        """End them."""
        super().__exit__(None, None, None)


class Heard(SweepObserver):
    """What an observer was told."""

    def __init__(self) -> None:
        self.waited: list[str] = []
        self.done: list[Outcome] = []

    def waiting(self, trainings: Sequence[Training]) -> None:
        self.waited += [training.run_id for training in trainings]

    def finished(self, training: Training, outcome: Outcome) -> None:
        self.done.append(outcome)


def sweep(
    executor: Executor, results: Path, suite: Path, observer: SweepObserver | None = None, stop: Stop | None = None
) -> list[Outcome]:
    """Run a suite file in this process."""
    with executor as used:
        return Sweep(results, used, observer or SweepObserver(), stop or Stop()).run(expand(read_suite(suite)))


def wait_until(happened: Callable[[], object], seconds: float = 60.0) -> None:
    """Return when something has happened; it is an error if it does not."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)


def results_in(folder: Path) -> dict[str, Result]:
    """Model -> result, of runs that differ by model."""
    found: Iterable[Result] = (read_result(path.parent) for path in folder.glob(f"*/{RESULT_FILE}"))
    return {result.spec.model: result for result in found}


def began(folder: Path) -> list[int]:
    """Processes that began."""
    return [int(path.name.partition("-")[2]) for path in folder.glob("began-*")]


def kill(processes: Iterable[int]) -> None:
    """SIGKILL."""
    for process in processes:
        os.kill(process, signal.SIGKILL)
