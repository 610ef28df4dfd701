"""Wall time and peak memory of ``gbench --help`` and of the main job, each a process of its own.

The main job is what ``make run`` runs once installed: train MEGNet under the cluster split with the floors beside it,
then build the leaderboard; in an empty folder, on an empty cache. ``python -m benchmarks.speed.startup help`` leaves it
out.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.speed.measure import Cost, print_table, process, typical

HELP_ROUNDS, JOB_ROUNDS = 15, 3
GBENCH = shutil.which("gbench", path=Path(sys.executable).parent) or "gbench"


def main_job() -> tuple[Cost, Cost]:
    """The run, and the page."""
    with tempfile.TemporaryDirectory() as folder:
        here, cache = Path(folder), f"{folder}/cache"
        trained, _ = process([GBENCH, "run", "--model", "megnet", "--split", "cluster"], here, GBENCH_CACHE=cache)
        page, _ = process([GBENCH, "leaderboard", "build"], here, GBENCH_CACHE=cache)
    return trained, page


def main() -> None:
    """Time them."""
    # one more, not counted: the first start compiles bytecode and fills the file cache
    helps = [process([GBENCH, "--help"])[0] for _ in range(HELP_ROUNDS + 1)][1:]
    commands = {f"gbench --help (median of {HELP_ROUNDS})": helps}
    if sys.argv[1:] != ["help"]:
        jobs = [main_job() for _ in range(JOB_ROUNDS)]
        commands[f"gbench run --model megnet --split cluster (median of {JOB_ROUNDS})"] = [run for run, _ in jobs]
        commands[f"gbench leaderboard build (median of {JOB_ROUNDS})"] = [page for _, page in jobs]
    rows = []
    for name, costs in commands.items():
        usual = typical(costs)
        rows.append([name, f"{usual.wall:.2f}", f"{usual.cpu:.2f}", f"{usual.peak_mb:.0f}"])
    print_table("Whole processes", ["command", "wall s", "CPU s", "peak MB"], rows)


if __name__ == "__main__":
    main()
