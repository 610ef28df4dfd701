"""Suites, models that misbehave, and the command, for the tests of sweeps."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from gbench.new_model import write_new_model
from gbench.result import RESULT_FILE, Result, read_result

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
        here = Path(__file__).parents[1]
        {act}

    def predict(self, inputs, rows):
        return np.zeros(len(rows))
"""
DIES = 'if not (here / "spare").exists(): os.kill(os.getpid(), signal.SIGKILL)'
SEGFAULT = 'print("stack smashed"); import faulthandler; faulthandler._sigsegv()'
RAISES = 'raise ZeroDivisionError("no such luck")'
WAITS = """import time; (here / f"began-{os.getpid()}").touch()
        while not (here / "spare").exists(): time.sleep(0.05)"""


def odd_model(folder: Path, name: str, act: str) -> str:
    """The folder of a model that does ``act`` when it is fitted."""
    (folder / name).mkdir()
    (folder / name / "card.yaml").write_text(yaml.safe_dump({"name": name, **CARD}))
    (folder / name / "model.py").write_text(ODD.format(act=act))
    return str(folder / name)


def endless_model(folder: Path) -> str:
    """The folder of a network that leaves a file ``began-<process>`` once it is trained."""
    write_new_model("endless", folder)
    path = folder / "endless" / "model.py"
    code = path.read_text()
    mark = "(Path(__file__).parents[1] / f'began-{os.getpid()}').touch()"
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
        [*MAIN, "suite", "run", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1", "LOKY_MAX_CPU_COUNT": "2", **environment},
    )


def run(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    """``gbench suite run`` to its end."""
    process = start(*arguments, **environment)
    out, said = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, said)


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
