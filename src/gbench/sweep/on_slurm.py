"""Slurm, through submitit: a job array with one training in each job."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gbench.errors import SweepError
from gbench.sweep.work import Job, Kind, Outcome, use_threads, work

LONGEST_ARRAY = 1000
"""Slurm's MaxArraySize is 1001 unless an administrator chose otherwise."""
LOGS = ".submitit"


@dataclass
class OnSlurm:
    """Jobs of ``threads`` cores each, at most ``slots`` at once."""

    results: Path
    slots: int = LONGEST_ARRAY
    threads: int = 1
    gpus: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Of submitit: ``timeout_min``, ``mem_gb``, ``slurm_partition`` and more; ``cluster`` is ``slurm`` or ``local``."""
    jobs: dict[Any, Job] = field(default_factory=dict, init=False)
    interrupted: bool = field(default=False, init=False)

    def __enter__(self) -> Self:
        submitit = _submitit()
        chosen = dict(self.parameters)
        cluster = str(chosen.pop("cluster", "slurm"))
        if cluster == "slurm" and submitit.AutoExecutor(self.results / LOGS).cluster != "slurm":
            raise SweepError("there is no Slurm here (no `srun` on PATH); run this where there is, or --executor local")
        self.executor = submitit.AutoExecutor(self.results / LOGS, cluster=cluster)
        usual = {"name": "gbench", "cpus_per_task": self.threads, "gpus_per_node": self.gpus, "timeout_min": 24 * 60}
        try:
            self.executor.update_parameters(**{**usual, "slurm_array_parallelism": self.slots, **chosen})
        except (NameError, TypeError, ValueError, AssertionError) as error:
            raise SweepError(f"--slurm: submitit does not take these parameters: {error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for job in self.jobs:
            job.cancel(check=False)

    def room(self) -> int:
        """How many more jobs it wants now: none until an array is worth submitting."""
        most = min(LONGEST_ARRAY, self.slots)
        free = most - len(self.jobs)
        return free if free >= most / 2 else 0

    def submit(self, jobs: Sequence[Job]) -> None:
        """Submit them as one array."""
        for job, submitted in zip(jobs, self._submitted(jobs), strict=True):
            self.jobs[submitted] = job

    def outcomes(self, seconds: float) -> list[Outcome]:
        """What ended; looks at the files that jobs leave, and asks Slurm about once a minute."""
        ended = [submitted for submitted in self.jobs if submitted.done()]
        if not ended:
            time.sleep(seconds)
        return [self._outcome(submitted) for submitted in ended]

    def interrupt(self) -> None:
        """Cancel all jobs; trainings go on from the checkpoints of the last seconds."""
        self.interrupted = True
        for submitted in self.jobs:
            submitted.cancel(check=False)

    def _submitted(self, jobs: Sequence[Job]) -> list[Any]:
        texts = [Job(job.spec, self.results.absolute(), job.allow_leak).text() for job in jobs]
        try:
            submitted: list[Any] = self.executor.map_array(Element(self.threads), texts)
        except (OSError, RuntimeError) as error:
            raise SweepError(f"Slurm refused the job array: {' '.join(str(error).split())[-300:]}") from error
        return submitted

    def _outcome(self, submitted: Any) -> Outcome:
        run_id = self.jobs.pop(submitted).spec.run_id
        from submitit.core.utils import FailedJobError, UncompletedJobError

        try:
            outcome: Outcome = submitted.result()
        except (FailedJobError, UncompletedJobError):
            kind: Kind = "stopped" if self.interrupted else "lost"
            return Outcome(
                run_id, kind, f"job {submitted.job_id} ended as {submitted.state}; see {submitted.paths.stderr}"
            )
        return outcome


@dataclass(frozen=True)
class Element:
    """What a job of the array does. Slurm's time limit and preemption put it back into the queue."""

    threads: int

    def __call__(self, text: str) -> Outcome:
        """Do the job that was written as text."""
        use_threads(self.threads)
        return work(Job.of(text))

    def checkpoint(self, text: str) -> Any:
        """What submitit queues when the job must make room: the same, which goes on from the last checkpoint."""
        return _submitit().helpers.DelayedSubmission(self, text)


def _submitit() -> Any:
    try:
        import submitit
    except ImportError as error:
        raise SweepError("--executor slurm needs submitit, which is not here; pip install 'gbench[slurm]'") from error
    return submitit
