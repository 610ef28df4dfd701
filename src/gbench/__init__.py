"""gbench: which graph neural network to trust for a materials property, and why."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gbench.dataset import load
    from gbench.runner import run

__all__ = ["__version__", "load", "run"]


def __getattr__(name: str) -> Any:
    """Import the Python API on first use, so that ``import gbench`` and ``gbench --help`` stay quick."""
    if name == "load":
        from gbench.dataset import load

        return load
    if name == "run":
        from gbench.runner import run

        return run
    raise AttributeError(f"module 'gbench' has no attribute {name!r}")
