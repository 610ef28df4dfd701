"""A worker process: ``python -m gbench.sweep.worker FD`` does jobs that come over a pipe until it is closed."""

import sys
from multiprocessing.connection import Connection

from gbench.sweep.work import Job, work


def main(descriptor: int) -> None:
    """Answer each job, a line of JSON, with its outcome."""
    import torch

    from gbench.cores import cores

    # the cores of this worker alone: another pool of threads, as that between operations, would come on top
    torch.set_num_threads(cores())
    torch.set_num_interop_threads(1)
    with Connection(descriptor) as pipe:
        while True:
            try:
                job = Job.of(pipe.recv())
                pipe.send(work(job))
            # the sweep is over, or its process has died; or Ctrl-C between two jobs
            except (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
                return


if __name__ == "__main__":
    main(int(sys.argv[1]))
