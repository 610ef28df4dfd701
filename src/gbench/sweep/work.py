"""One training, wherever it runs: asked for in a line of text, answered with what came of it."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gbench.errors import BusyError, GbenchError, StorageError
from gbench.held import Held
from gbench.runner import run_spec
from gbench.spec import RunSpec
from gbench.stopping import QuietObserver, StopOnInterrupt

Kind = Literal["done", "failed", "busy", "stopped", "lost", "unwritable"]
"""``busy``: another process works on it. ``lost``: the process that worked on it died. ``unwritable``: its result
cannot be written, nor will those of others."""


@dataclass(frozen=True)
class Job:
    """A training to be done."""

    spec: RunSpec
    results: Path
    allow_leak: bool

    def text(self) -> str:
        """JSON, for another process or machine."""
        spec = self.spec.model_dump(mode="json")
        return json.dumps({"spec": spec, "results": str(self.results), "allow_leak": self.allow_leak})

    @classmethod
    def of(cls, text: str) -> "Job":
        """The job that was written."""
        raw = json.loads(text)
        return cls(RunSpec.model_validate(raw["spec"]), Path(raw["results"]), raw["allow_leak"])


@dataclass(frozen=True)
class Outcome:
    """What came of a job."""

    run_id: str
    kind: Kind
    message: str = ""
    """Why, of all but ``done``."""


def use_threads(count: int) -> None:
    """Let this process, and what it starts, use so many cores."""
    import torch

    # joblib and scikit-learn, and gbench itself
    os.environ["LOKY_MAX_CPU_COUNT"] = str(count)
    torch.set_num_threads(count)


def work(job: Job, held: Held | None = None) -> Outcome:
    """Do a job in this process, on its main thread, with what is ``held`` of its data.

    Ctrl-C stops it, after a checkpoint in training.
    """
    run_id = job.spec.run_id
    with StopOnInterrupt() as interrupt:
        try:
            for one in job.spec.together():
                run_spec(one, job.results, QuietObserver(interrupt), allow_leak=job.allow_leak, held=held)
        except BusyError as error:
            return Outcome(run_id, "busy", str(error))
        except StorageError as error:
            return Outcome(run_id, "unwritable", str(error))
        except GbenchError as error:
            return Outcome(run_id, "failed", str(error))
        except KeyboardInterrupt:
            return Outcome(run_id, "stopped", "stopped")
        # a bug of one model is no reason to lose the others; its traceback is in the result
        except Exception as error:
            return Outcome(run_id, "failed", f"{type(error).__name__}: {error}")
    return Outcome(run_id, "done")
