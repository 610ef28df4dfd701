"""A Ray cluster that is already there. What a lost node worked on is done again by others."""

import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gbench.errors import SweepError
from gbench.held import Held
from gbench.sweep.away import Files, Home, work_away
from gbench.sweep.work import Job, Outcome, use_threads

CONNECT_SECONDS = 5.0
AHEAD = 2
"""Jobs handed to the cluster for each it can do at once, so that no node waits for the next."""


@dataclass
class OnRay:
    """Jobs as Ray tasks of ``threads`` CPUs and ``gpus`` GPUs each."""

    address: str
    results: Path
    threads: int = 1
    gpus: float = 0.0
    retries: int = 3
    """How often a training is begun anew after its node or process was lost."""
    most: int | None = None
    """Trainings at once; as many as fit, unless given."""
    refs: dict[Any, Job] = field(default_factory=dict, init=False)
    interrupted: bool = field(default=False, init=False)

    def __enter__(self) -> Self:
        self.ray = _ray()
        self._connect()
        with ExitStack() as stack:
            stack.callback(self.ray.shutdown)
            self._check_fits()
            self.home = stack.enter_context(Home(self.results.absolute()))
            self.task = self.ray.remote(
                num_cpus=self.threads, num_gpus=self.gpus, max_retries=self.retries
            )(_task)  # fmt: skip
            self.stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for ref in self.refs:
            self.ray.cancel(ref, force=True)
        self.stack.close()

    @property
    def slots(self) -> int:
        """Trainings that the cluster does at once, with the nodes it has now."""
        there = self.ray.cluster_resources()
        fit = int(there.get("CPU", 0) // self.threads)
        if self.gpus:
            fit = min(fit, int(there.get("GPU", 0) / self.gpus))
        return max(1, min(fit, self.most or fit))

    def room(self) -> int:
        """How many more jobs it wants now."""
        return max(0, (self.most or AHEAD * self.slots) - len(self.refs))

    def submit(self, jobs: Sequence[Job]) -> None:
        """Hand them to the cluster."""
        for job in jobs:
            own = Job(_findable(job.spec), self.home.results, job.allow_leak)
            self.refs[self.task.remote(own.text(), self.home.mark, self.threads)] = job

    def outcomes(self, seconds: float) -> list[Outcome]:
        """What ended; the files of nodes that do not see the folder of results are written to it."""
        if not self.refs:
            return []
        ready, _ = self.ray.wait(list(self.refs), timeout=seconds)
        if ready:
            ready, _ = self.ray.wait(list(self.refs), num_returns=len(self.refs), timeout=0)
        return [self._outcome(ref) for ref in ready]

    def interrupt(self) -> None:
        """Ctrl-C for each task; those that have not begun are dropped."""
        self.interrupted = True
        for ref in self.refs:
            self.ray.cancel(ref)

    def _outcome(self, ref: Any) -> Outcome:
        run_id = self.refs.pop(ref).spec.run_id
        from ray.exceptions import RayError, RayTaskError

        outcome: Outcome
        try:
            outcome, files = self.ray.get(ref)
        except RayTaskError as error:
            # nothing that a run raises: the node could not begin with it
            return Outcome(run_id, "failed", f"a node could not begin: {str(error).strip().splitlines()[-1]}")
        except RayError as error:
            why = " ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])
            return Outcome(run_id, "stopped" if self.interrupted else "lost", why)
        self.home.receive(files)
        return outcome

    def _connect(self) -> None:
        host, colon, port = self.address.rpartition(":")
        try:
            # Ray itself looks for a cluster that is not there for a minute
            if colon and port.isdigit():
                socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
            # Ray warns about its own coming default unless this is set
            os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
            self.ray.init(
                address=self.address, log_to_driver=False, logging_level="ERROR", configure_logging=False,
            )  # fmt: skip
        except (OSError, RuntimeError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise SweepError(
                f"no Ray cluster at {self.address!r} ({why}); start one with `ray start --head` and give its address "
                "with --address HOST:PORT"
            ) from error

    def _check_fits(self) -> None:
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        if not any(node.get("CPU", 0) >= self.threads and node.get("GPU", 0) >= self.gpus for node in nodes):
            raise SweepError(
                f"no node of the Ray cluster has {self.threads} CPUs and {self.gpus:g} GPUs; lower --threads or --gpus"
            )


def _task(text: str, mark: str, threads: int) -> tuple[Outcome, Files]:
    use_threads(threads)
    return work_away(text, mark, _held())


@cache
def _held() -> Held:
    """Of this process of a node, which does one task after the other."""
    return Held()


def _findable(spec: Any) -> Any:
    """With the folder of a model from outside by its full path: tasks begin in a folder of their own."""
    if spec.origin is None or spec.origin.path is None:
        return spec
    path = str(Path(spec.origin.path).absolute())
    return spec.model_copy(update={"origin": spec.origin.model_copy(update={"path": path})})


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise SweepError("--executor ray needs Ray, which is not here; pip install 'gbench[ray]'") from error
    return ray
