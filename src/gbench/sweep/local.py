"""Worker processes on this machine. One that dies takes its training with it and nothing else."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import IO, Self

from gbench.cores import cores
from gbench.errors import SweepError
from gbench.sweep.work import Job, Outcome

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
LAST_WORDS = 2000
GRACE_SECONDS = 30.0
"""What a worker is given to end after it was asked to."""


@dataclass
class Worker:
    """A process that does one job at a time."""

    process: "subprocess.Popen[bytes]"
    pipe: Connection
    said: IO[bytes]
    """What it wrote to standard error."""
    job: Job | None = None

    def last_words(self) -> str:
        """The last lines of what it said."""
        self.said.seek(0)
        lines = self.said.read()[-LAST_WORDS:].decode(errors="replace").split("\n")
        return " ".join(" ".join(lines[-3:]).split())

    def end(self, seconds: float) -> None:
        """Close its pipe, which an idle worker takes as the end; kill one that is still there after ``seconds``."""
        self.pipe.close()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.said.close()


@dataclass
class Local:
    """``workers`` processes of ``threads`` threads each, started when there is work for them."""

    slots: int
    threads: int = 1
    workers: list[Worker] = field(default_factory=list, init=False)
    interrupted: bool = field(default=False, init=False)

    def room(self) -> int:
        """Workers that have nothing to do."""
        return self.slots - sum(worker.job is not None for worker in self.workers)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Give each job to a worker of its own."""
        for job in jobs:
            worker = next((worker for worker in self.workers if worker.job is None), None) or self._start()
            worker.job = job
            try:
                worker.pipe.send(job.text())
            except (BrokenPipeError, ConnectionResetError):
                # it died idle; `outcomes` finds out
                continue

    def outcomes(self, seconds: float) -> list[Outcome]:
        """What the workers answered, and those that died."""
        by_pipe = {worker.pipe: worker for worker in self.workers}
        told = [self._outcome(by_pipe[pipe]) for pipe in wait(list(by_pipe), seconds) if isinstance(pipe, Connection)]
        return [outcome for outcome in told if outcome is not None]

    def interrupt(self) -> None:
        """Ctrl-C for each worker."""
        self.interrupted = True
        for worker in self.workers:
            worker.process.send_signal(signal.SIGINT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            if worker.job is not None:
                worker.process.kill()
        for worker in self.workers:
            worker.end(GRACE_SECONDS)

    def _start(self) -> Worker:
        ours, theirs = Pipe()
        said = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "gbench.sweep.worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "OMP_WAIT_POLICY": "passive", **dict.fromkeys(THREADS, str(self.threads))},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            # Ctrl-C on a terminal is for the sweep, which passes it on
            start_new_session=True,
        )
        theirs.close()
        self.workers.append(Worker(process, ours, said))
        return self.workers[-1]

    def _outcome(self, worker: Worker) -> Outcome | None:
        job = worker.job
        try:
            outcome: Outcome = worker.pipe.recv()
            worker.job = None
            return outcome
        except (EOFError, ConnectionResetError):
            self.workers.remove(worker)
            worker.process.wait()
            message = _how_it_ended(worker)
            worker.end(0)
        if job is None:
            return None
        return Outcome(job.spec.run_id, "stopped" if self.interrupted else "lost", message)


def local(workers: int | None, threads: int | None, jobs: int) -> Local:
    """Workers for so many jobs: as many as there are cores, unless chosen; cores that are left over become threads.

    Raises:
        SweepError: more workers times threads than cores.
    """
    there = cores()
    count = workers or max(1, min(jobs, there // (threads or 1)))
    each = threads or max(1, there // count)
    if count * each > there:
        raise SweepError(
            f"{count} workers of {each} threads need {count * each} cores, but there are {there}; lower --workers or "
            "--threads"
        )
    return Local(count, each)


def _how_it_ended(worker: Worker) -> str:
    code = worker.process.returncode
    if code == -signal.SIGKILL:
        how = "was killed (SIGKILL); the system does that when memory runs out"
    elif code < 0:
        how = f"was ended by {signal.Signals(-code).name}"
    else:
        how = f"ended with exit code {code}"
    words = worker.last_words()
    return f"{how}, saying: {words}" if words else how
