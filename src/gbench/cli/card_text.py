"""A split card on a terminal."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from gbench.audit.card import Overlap, SplitCard
from gbench.audit.verdict import percent
from gbench.cli.console import console, decimals, table

NONE = "–"
NAMED = 8
"""Held-out groups of a kind that are named."""
ORDER = ("leak", "interpolation", "mild shift", "strong shift")


def show_card(card: SplitCard) -> None:
    """Everything on a card, ending with the verdict and why."""
    sizes = card.sizes
    _print(
        f"{card.dataset}@{card.version} / {card.target} ({card.unit})   {describe_split(card)}   "
        f"{sizes.train:,} train  {sizes.val:,} val  {sizes.test:,} test"
    )
    console.print()
    console.print(_overlaps(card))
    console.print()
    console.print(_distances(card))
    console.print()
    _facts(card)
    _print(card.headline)


def describe_split(card: SplitCard) -> str:
    """``cluster (n_clusters 10), fold 0``"""
    own = {
        key: value
        for key, value in card.split.items()
        if key not in ("scheme", "fold", "seed", "val_share", "n_folds", "target")
    }
    parameters = ", ".join(f"{key} {value}" for key, value in own.items())
    return f"{card.split['scheme']}{f' ({parameters})' if parameters else ''}, fold {card.split['fold']}"


def _overlaps(card: SplitCard) -> object:
    shown = table("also in train", "test rows", "share", right=("test rows", "share"))
    found = card.duplicates
    rows: list[tuple[str, Overlap | None]] = [
        ("reduced formula", card.shared.formula),
        ("formula and space group", card.shared.formula_space_group),
        ("chemical system", card.shared.chemical_system),
        ("near-duplicate structure", found.near),
        ("exact duplicate", found.exact),
    ]
    for name, overlap in rows:
        if overlap is not None:
            shown.add_row(name, f"{overlap.count:,}", percent(overlap.share))
    if found.checked < card.sizes.test:
        shown.caption = f"duplicates: of {found.checked:,} test rows drawn at random"
        shown.caption_justify = "left"
    return shown


def _distances(card: SplitCard) -> object:
    columns = ("test", "dealt at random", "ratio")
    shown = table("distance to nearest in train", *columns, right=columns)
    for name, distance in (("compositions", card.composition), ("structures", card.structure)):
        if distance is not None:
            shown.add_row(name, f"{distance.test:.3f}", f"{distance.random:.3f}", f"{distance.ratio:.2f}")
    return shown


def _facts(card: SplitCard) -> None:
    if card.classifier is not None:
        _print(f"classifier, test from train   AUC {card.classifier.auc:.2f}   (0.5: cannot tell)")
    _print(f"labels, test against train    Kolmogorov-Smirnov {card.target_shift.ks:.2f}")
    if card.floors:
        floors = card.floors
        places = decimals([floor.value for floor in floors])
        metric = f"MAE, {floors[0].unit}" if floors[0].metric == "mae" else "ROC AUC"
        _print(f"floors, {metric}   " + "   ".join(f"{floor.model} {floor.value:.{places}f}" for floor in floors))
    for kind in dict.fromkeys(group.kind for group in card.held_out):
        groups = [
            group.name if group.count is None else f"{group.name} ({group.count})"
            for group in card.held_out
            if group.kind == kind
        ]
        more = f"; and {len(groups) - NAMED} more" if len(groups) > NAMED else ""
        _print(f"{kind} in test only   {'; '.join(groups[:NAMED])}{more}")
    if card.duplicates.examples:
        pairs = (f"{pair.test} = {pair.train}" for pair in card.duplicates.examples[:3])
        _print(f"near-duplicates, test = train   {',  '.join(pairs)}")
    console.print()


def show_comparison(rows: Mapping[str, Sequence[SplitCard]], left_out: Mapping[str, str]) -> None:
    """A row per scheme, the verdicts in order of hardness; means where there are several folds."""
    numbers = ("train", "test", "formula", "duplicates", "composition", "structure", "AUC", "KS", "1-NN", "trees")
    shown = table("scheme", *numbers, "verdict", right=("scheme", *numbers, "verdict"))
    shown.columns[0].justify = shown.columns[-1].justify = "left"
    # twelve columns are to fit a usual terminal
    shown.padding = (0, 2, 0, 0)
    every = [card for cards in rows.values() for card in cards]
    values = [floor.value for card in every for floor in card.floors]
    places = decimals(values) if values else 3
    for scheme, cards in sorted(rows.items(), key=lambda row: (max(map(_hardness, row[1])), _ratio(row[1]))):
        shown.add_row(
            scheme,
            f"{fmean(card.sizes.train for card in cards):,.0f}",
            f"{fmean(card.sizes.test for card in cards):,.0f}",
            percent(fmean(card.shared.formula.share for card in cards)),
            percent(fmean(card.duplicates.near.share for card in cards)),
            f"{_ratio(cards):.2f}",
            _mean([card.structure.ratio if card.structure else None for card in cards], 2),
            _mean([card.classifier.auc if card.classifier else None for card in cards], 2),
            f"{fmean(card.target_shift.ks for card in cards):.2f}",
            *(_mean([_floor(card, name) for card in cards], places) for name in ("knn", "trees")),
            " / ".join(sorted({card.verdict for card in cards}, key=ORDER.index)),
        )
    first = every[0] if every else None
    if first is not None:
        _print(f"{first.dataset}@{first.version} / {first.target} ({first.unit})")
        console.print()
        console.print(shown)
        console.print()
        _print(
            "formula, duplicates: share of test rows that have theirs in train. composition, structure: distance to "
            "the nearest in train over that of compositions dealt at random. AUC: a classifier tells test from train. "
            "KS: labels. 1-NN, trees: "
            + (f"MAE, {first.unit}" if all(floor.metric == "mae" for floor in first.floors) else "ROC AUC")
        )
    for scheme, why in left_out.items():
        _print(f"{scheme}: left out. {why}")


def _hardness(card: SplitCard) -> int:
    return ORDER.index(card.verdict)


def _ratio(cards: Sequence[SplitCard]) -> float:
    return fmean(card.composition.ratio for card in cards)


def _floor(card: SplitCard, name: str) -> float | None:
    return next((floor.value for floor in card.floors if floor.model == name), None)


def _mean(values: Sequence[float | None], places: int) -> str:
    known = [value for value in values if value is not None]
    return f"{fmean(known):.{places}f}" if known else NONE


def _print(text: str) -> None:
    console.print(text, soft_wrap=True)
