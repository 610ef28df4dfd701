"""Where cards lie: beside their frozen split, or in the cache."""

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

from gbench.audit.card import SCHEMA_VERSION, Depth, SplitCard
from gbench.audit.facts import Facts, Progress, silent
from gbench.audit.measure import assignment_sha256, audit
from gbench.cards import Frozen, Sha256, validate
from gbench.content import cache_dir, content
from gbench.dataset import Dataset
from gbench.errors import SplitError
from gbench.spec import SplitSpec
from gbench.splitting import Split
from gbench.storage import atomic_path

MOST_DRAWN = 7
"""Folds with drawings that fit into 100 kB."""


class CardFile(Frozen):
    """The cards of all folds of a frozen split."""

    schema_version: int
    dataset: str
    version: str
    dataset_sha256: Sha256
    folds: tuple[SplitCard, ...]


def get_card(
    dataset: Dataset | Facts,
    split: Split,
    spec: SplitSpec,
    target: str,
    depth: Depth = "quick",
    progress: Progress = silent,
) -> SplitCard:
    """The card of a split: the committed one, one from the cache, or measured now and cached.

    A stored card is used where dataset, labelled rows of the split, target and schema are the same, and it is at least
    as deep. Give :class:`Facts` instead of the dataset to audit several splits of it: they share what they can.

    Raises:
        SplitError: train or test holds no labelled row.
    """
    facts = dataset if isinstance(dataset, Facts) else Facts(dataset)
    stored = stored_card(facts, split, spec, target, depth)
    if stored is not None:
        return stored
    card = audit(facts, split, spec, target, depth, progress)
    with atomic_path(_cached(card.dataset_sha256, card.split_sha256, target, depth)) as temporary:
        temporary.write_text(card.model_dump_json(), encoding="utf-8")
    return card


def stored_card(facts: Facts, split: Split, spec: SplitSpec, target: str, depth: Depth) -> SplitCard | None:
    """The card that is stored for exactly this, or None."""
    name, content_hash = facts.dataset.card.name, facts.dataset.sha256
    split_hash = assignment_sha256(facts, split, target)
    depths: tuple[Depth, ...] = ("full",) if depth == "full" else ("full", "quick")
    committed = read_cards(card_path(name, spec.scheme))
    cached = (card for one in depths for card in _read_cached(_cached(content_hash, split_hash, target, one)))
    for card in itertools.chain(committed, cached):
        same = (card.dataset_sha256, card.split_sha256, card.target) == (content_hash, split_hash, target)
        if same and card.schema_version == SCHEMA_VERSION and (card.has_drawings or depth == "quick"):
            # two schemes may make one split
            return card.model_copy(update={"split": spec.model_dump(mode="json")})
    return None


def card_path(dataset: str, scheme: str, folder: Path | None = None) -> Path:
    """Where the cards of a frozen scheme lie: ``splits/<dataset>/<scheme>.card.json``."""
    return (folder or content("splits")) / dataset / f"{scheme}.card.json"


def write_cards(cards: list[SplitCard], folder: Path | None = None) -> Path:
    """Write the cards of all folds of a scheme to their file; returns its path.

    Of many folds only the numbers are written: drawings would make the file large.
    """
    first = cards[0]
    path = card_path(first.dataset, first.split["scheme"], folder)
    raw = {
        "schema_version": SCHEMA_VERSION,
        "dataset": first.dataset,
        "version": first.version,
        "dataset_sha256": first.dataset_sha256,
        "folds": [(card if len(cards) <= MOST_DRAWN else card.numbers()).model_dump(mode="json") for card in cards],
    }
    with atomic_path(path) as temporary:
        temporary.write_text(_by_key(raw) + "\n", encoding="utf-8")
    return path


def read_cards(path: Path) -> tuple[SplitCard, ...]:
    """The cards in a file of :func:`write_cards`; none where there is no file, or one of another schema.

    Raises:
        SplitError: the file is damaged.
    """
    if not path.is_file():
        return ()
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SplitError(f"{path}: not valid JSON ({error}); restore it, or measure anew with --freeze") from error
    if not isinstance(raw, dict) or raw.get("schema_version") != SCHEMA_VERSION:
        return ()
    return validate(CardFile, raw, str(path), SplitError).folds


def _by_key(raw: dict[str, Any]) -> str:
    """JSON with a line for each fact of a card, so that a change of one shows as one line."""
    folds = []
    for card in raw["folds"]:
        lines = [
            f"   {json.dumps(key)}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}"
            for key, value in card.items()
        ]
        folds.append("  {\n" + ",\n".join(lines) + "\n  }")
    head = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in raw.items() if key != "folds"]
    return "{\n" + ",\n".join(head) + ',\n "folds": [\n' + ",\n".join(folds) + "\n ]\n}"


def _cached(dataset: str, split: str, target: str, depth: Depth) -> Path:
    key = hashlib.sha256(json.dumps([SCHEMA_VERSION, dataset, split, target, depth]).encode()).hexdigest()
    return cache_dir() / "audits" / f"{key[:32]}.json"


def _read_cached(path: Path) -> tuple[SplitCard, ...]:
    """A card in the cache; a damaged file is measured anew."""
    try:
        return (SplitCard.model_validate_json(path.read_text(encoding="utf-8")),)
    except (OSError, ValueError):
        return ()
