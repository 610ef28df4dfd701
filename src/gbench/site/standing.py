"""Which runs must not be compared with the others, and why."""

from collections import Counter
from collections.abc import Mapping, Sequence

from gbench.cards import DatasetCard
from gbench.site.runs import ScoredRun

Identity = tuple[str, str, str]
"""Version, content hash and unit of a target."""


def stale_runs(runs: Sequence[ScoredRun], cards: Mapping[str, DatasetCard]) -> dict[str, str]:
    """Run id -> how its data differs from the current card; without a card, from the data of most runs."""
    tasks: dict[tuple[str, str], list[ScoredRun]] = {}
    for run in runs:
        tasks.setdefault((run.dataset.name, run.dataset.target), []).append(run)
    stale = {}
    for (name, target), group in tasks.items():
        current = _current(cards.get(name), target, group)
        for run in group:
            if reason := _difference(_identity(run), current):
                stale[run.run_id] = f"stale: {reason}"
    return stale


def _current(card: DatasetCard | None, target: str, runs: Sequence[ScoredRun]) -> Identity | None:
    if card is None:
        counts = Counter(_identity(run) for run in runs)
        return max(counts, key=lambda identity: (counts[identity], identity))
    if target not in card.targets:
        return None
    usual = Counter(run.dataset.sha256 for run in runs).most_common(1)[0][0]
    return card.version, card.content_sha256 or usual, card.targets[target].unit


def _identity(run: ScoredRun) -> Identity:
    return run.dataset.version, run.dataset.sha256, run.dataset.unit


def _difference(found: Identity, current: Identity | None) -> str:
    if current is None:
        return "the dataset no longer has this target"
    words = ("version {}, current is {}", "content {:.8}…, current is {:.8}…", "in {}, current unit is {}")
    differing = (word.format(was, now) for word, was, now in zip(words, found, current, strict=True) if was != now)
    return next(differing, "")
