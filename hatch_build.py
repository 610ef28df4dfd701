"""Puts the content folders into wheels as ``gbench/content``; editable builds read them from the checkout."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CONTENT = ("datasets", "splits", "baselines", "benchmarks", "leaderboard")


class ContentHook(BuildHookInterface):  # type: ignore[type-arg]
    """Force-includes ``datasets/``, ``splits/``, ``baselines/``, ``benchmarks/`` and ``leaderboard/``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the folders to a standard wheel; do nothing for an editable one."""
        if version == "editable":
            return
        for folder in CONTENT:
            build_data["force_include"][str(Path(self.root) / folder)] = f"gbench/content/{folder}"
