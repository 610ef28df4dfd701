"""Builds the leaderboard."""

from collections.abc import Sequence
from pathlib import Path

from gbench.site.board import gather
from gbench.site.folder import publish
from gbench.site.pages import render
from gbench.site.runs import verified_results

LOCAL_RESULTS = Path("results")


def default_folders() -> list[Path]:
    """Where results are looked for: those that ship with gbench, then those made here."""
    return [verified_results(), LOCAL_RESULTS]


def build(results: Sequence[Path], out: Path) -> Path:
    """Render every ``result.json`` below the folders into ``out``; returns the path of its ``index.html``.

    A folder that does not exist holds no results. The same results give the same bytes. The site is put in place
    only when it is whole; a failure leaves what was there.

    Raises:
        DataError: a damaged result or predictions file.
        CardError: a card breaks its schema.
        StorageError: ``out`` cannot be written, or holds files that are not a leaderboard's.
    """
    publish(render(gather(results)), out)
    return out / "index.html"
