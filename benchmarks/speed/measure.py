"""What the speed scripts share: variants in turn, whole processes, one table."""

import math
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

from gbench.environment import environment

ROOT = Path(__file__).parents[2]


class Cost(NamedTuple):
    """What one call or one process took."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds, user and system."""
    peak_mb: float = 0.0
    """Largest resident size; 0 where it was not measured."""


def in_turn(variants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[Cost]]:
    """Cost of ``rounds`` calls of each variant, A B, B A, ..., so that a change of the machine's pace meets all alike.

    The order turns round each time, for what runs before leaves its traces in the processor's caches. One more round
    comes first and is not counted.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name in list(variants)[:: -1 if number % 2 else 1]:
            wall, cpu = time.perf_counter(), time.process_time()
            variants[name]()
            costs[name].append(Cost(time.perf_counter() - wall, time.process_time() - cpu))
    return {name: counted[1:] for name, counted in costs.items()}


def process(command: Sequence[str], cwd: Path = ROOT, **variables: str) -> tuple[Cost, str]:
    """Cost and standard output of a command under more environment variables.

    Raises:
        RuntimeError: the command failed.
    """
    started = time.perf_counter()
    child = subprocess.Popen(command, cwd=cwd, env=os.environ | variables, stdout=subprocess.PIPE, text=True)
    if child.stdout is None:
        raise RuntimeError("no pipe to the command")
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {child.returncode}")
    # Linux counts in kB, macOS in bytes
    unit = 1e6 if platform.system() == "Darwin" else 1e3
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit), output


def growth_mb(work: Callable[[], object]) -> float:
    """MB that resident memory grows at most while ``work`` runs; NaN where the system does not say, as on macOS."""
    forget = Path("/proc/self/clear_refs")
    if not forget.exists():
        work()
        return math.nan
    # the peak so far: building graphs may take more than training on them
    forget.write_text("5")
    before = _status_mb("VmRSS")
    work()
    return _status_mb("VmHWM") - before


def _status_mb(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(name)) * 1024 / 1e6


def typical(costs: Sequence[Cost]) -> Cost:
    """Medians."""
    return Cost(*(median(values) for values in zip(*costs, strict=True)))


def ratio(slow: Sequence[Cost], quick: Sequence[Cost]) -> float:
    """Median over the rounds of how many times the CPU time of the second the first takes."""
    return median(a.cpu / b.cpu for a, b in zip(slow, quick, strict=True))


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A Markdown table under the machine, versions and date it belongs to."""
    known = environment()
    versions = ", ".join(
        f"{name} {known.libraries[name]}" for name in ("numpy", "torch", "torch-geometric", "pymatgen")
    )
    print(
        f"{title}\n{_cpu()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; Python {known.python}, {versions};"
    )
    print(f"commit {(known.git_commit or '?')[:8]}, {datetime.now(UTC):%Y-%m-%d}\n")
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, ["-" * width for width in widths], *rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
    print()


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()} ({platform.machine()})"
