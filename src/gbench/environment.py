"""Where a result comes from: versions, commit, memory."""

import platform
import resource
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

import gbench
from gbench.result import Environment

LIBRARIES = (
    "numpy", "scipy", "scikit-learn", "torch", "torch-geometric", "dgl", "pymatgen", "pyarrow", "pandas", "mlflow",
)  # fmt: skip


@cache
def environment() -> Environment:
    """Versions of what takes part in a run, and the commit of the checkout gbench is imported from."""
    commit, dirty = _git()
    return Environment(
        gbench=gbench.__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        libraries={name: version for name in LIBRARIES if (version := _version(name))},
        git_commit=commit,
        git_dirty=dirty,
    )


def peak_memory_mb() -> float:
    """Largest resident size of this process so far, MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in kB, macOS in bytes
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git() -> tuple[str | None, bool | None]:
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None, None
    try:
        commit = _run(root, "rev-parse", "HEAD")
        dirty = bool(_run(root, "status", "--porcelain"))
    except (OSError, subprocess.CalledProcessError):
        return None, None
    return commit, dirty


def _run(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()
