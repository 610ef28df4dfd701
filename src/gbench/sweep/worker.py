"""A worker process: ``python -m gbench.sweep.worker FD`` does jobs that come over a pipe until it is closed."""

import sys
from multiprocessing.connection import Connection

from gbench.cores import cores
from gbench.held import Held
from gbench.sweep.work import Job, use_threads, work


def main(descriptor: int) -> None:
    """Answer each job, a line of JSON, with its outcome."""
    use_threads(cores())
    held = Held()
    with Connection(descriptor) as pipe:
        while True:
            try:
                job = Job.of(pipe.recv())
                pipe.send(work(job, held))
            # the sweep is over, or its process has died; or Ctrl-C between two jobs
            except (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
                return


if __name__ == "__main__":
    main(int(sys.argv[1]))
