"""``gbench datasets info``: one dataset, for a person who decides whether to use it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gbench.cli.console import console, decimals, facts, table

if TYPE_CHECKING:
    from gbench.cards import DatasetCard, Target
    from gbench.overview import LabelOverview, Overview

BARS = " ▁▂▃▄▅▆▇█"
WIDE = 106
"""Columns from which on every fact about the labels has room."""
OF = {"graph": "crystal", "node": "site", "edge": "pair"}


def print_info(card: "DatasetCard", seen: "Overview | None", absent: str) -> None:
    """The card and, where the content is at hand, what it holds; ``absent`` says why it is not."""
    console.print(f"{card.name}@{card.version}   {card.title}", style="bold")
    console.print(" ".join(card.description.split()))
    console.print()
    if seen is None:
        console.print(facts([("crystals", f"{card.crystals:,}"), ("data", absent)]))
        _print_targets(card)
    else:
        console.print(facts(_sizes(seen)))
        _print_elements(seen)
        _print_labels(card, seen)
    _print_methods(card)
    _print_errata(card)
    console.print()
    console.print(facts(_origin(card)))


def histogram(counts: Sequence[int]) -> str:
    """Bars of one line; a bin that holds anything shows at least the lowest bar."""
    most = max(counts, default=0)
    return "".join(BARS[0 if count == 0 else max(1, round(8 * count / most))] for count in counts)


def _halved(counts: Sequence[int]) -> list[int]:
    return [sum(counts[start : start + 2]) for start in range(0, len(counts), 2)]


def _sizes(seen: "Overview") -> list[tuple[str, str]]:
    axes = {"0": "molecules", "1": "chains", "2": "slabs", "3": "crystals"}
    kinds = ", ".join(f"{count:,} {axes[axis]}" for axis, count in seen.periodic_axes.items())
    sizes = seen.atoms_per_crystal
    known = [
        ("holds", kinds),
        ("atoms", f"{sizes.min:g} to {sizes.max:g} each, median {sizes.median:g}; {seen.atoms:,} in all"),
    ]
    if seen.volume_per_atom is not None:
        volume = seen.volume_per_atom
        known.append(("volume", f"{volume.min:.1f} to {volume.max:.1f} Å³ per atom, median {volume.median:.1f}"))
    if seen.pairs:
        known.append(("pairs", f"{seen.pairs:,}"))
    known.append(("elements", f"{len(seen.elements)}; below, how many hold each"))
    return known


def _print_elements(seen: "Overview") -> None:
    from gbench.periodic_table import text

    console.print()
    console.print(text(seen.elements, console.width))


def _print_targets(card: "DatasetCard") -> None:
    console.print()
    shown = table("target", "unit", "per", "task", "noise", "what it is", right=("noise",))
    for name, target in card.targets.items():
        noise = f"{target.noise:g}" if target.noise else ""
        shown.add_row(name, target.unit, OF[target.level], target.task, noise, " ".join(target.description.split()))
    console.print(shown)


def _print_labels(card: "DatasetCard", seen: "Overview") -> None:
    """A line per target; a narrow terminal gets fewer columns and coarser bars, never wrapped ones."""
    wide = console.width >= WIDE
    rows = [_label_row(name, target, seen.targets[name], wide=wide) for name, target in card.targets.items()]
    columns = [column for column in rows[0] if any(row[column] for row in rows)]
    shown = table(*columns, right=("labels", "missing", "min", "max", "mean", "noise"))
    for column in shown.columns:
        column.no_wrap = True
    for row in rows:
        shown.add_row(*(row[column] for column in columns))
    console.print()
    console.print(shown)
    console.print()
    for name, target in card.targets.items():
        console.print(f"{name}: {' '.join(target.description.split())}")


def _label_row(name: str, target: "Target", labels: "LabelOverview", *, wide: bool) -> dict[str, str]:
    """Column -> text; a column that is empty in every row is left out."""
    low, high, mean = _numbers(labels)
    counts = labels.histogram if wide else _halved(labels.histogram)
    bars = f"{labels.mean:.1%} are 1" if target.task == "classification" else f"▕{histogram(counts)}▏"
    row = {"target": name, "unit": target.unit}
    if wide:
        row["per"] = OF[target.level]
    row |= {"labels": f"{labels.labels:,}", "missing": f"{labels.missing:,}" if labels.missing else ""}
    row |= {"min": low, "from min to max": bars, "max": high}
    if wide:
        row |= {"mean": mean, "noise": f"{target.noise:g}" if target.noise else ""}
    return row


def _numbers(labels: "LabelOverview") -> tuple[str, str, str]:
    if not labels.labels:
        return "", "", ""
    places = min(decimals([labels.std or labels.max]), 4)
    # + 0.0: no minus before a zero
    low, high, mean = (f"{round(value, places) + 0.0:.{places}f}" for value in (labels.min, labels.max, labels.mean))
    return low, high, mean


def _print_methods(card: "DatasetCard") -> None:
    """What all targets share once, what differs with the targets it belongs to."""
    said: dict[tuple[str, str], list[str]] = {}
    for name, target in card.targets.items():
        for what, how in target.method.items():
            said.setdefault((what, " ".join(how.split())), []).append(name)
    console.print()
    console.print("how the labels were computed")
    shared = [(what, how) for (what, how), names in said.items() if len(names) == len(card.targets)]
    own = [(f"{what} of {', '.join(n)}", how) for (what, how), n in said.items() if len(n) < len(card.targets)]
    console.print(facts([*shared, *own]))


def _print_errata(card: "DatasetCard") -> None:
    if card.near_duplicates:
        console.print(f"\nnear-duplicates: {' '.join(card.near_duplicates.split())}")
    known = [erratum for erratum in card.errata if erratum.count]
    if not known:
        return
    console.print()
    shown = table("errata", "rows", "why", right=("rows",))
    for erratum in known:
        ids = ", ".join(erratum.ids[:5]) + (", ..." if len(erratum.ids) > 5 else "")
        why = " ".join(erratum.why.split())
        shown.add_row(erratum.action, f"{erratum.count:,}", f"{why} ({ids})" if ids else why)
    console.print(shown)


def _origin(card: "DatasetCard") -> list[tuple[str, str]]:
    doi = f" https://doi.org/{card.citation.doi}" if card.citation.doi else ""
    known = [("split", card.default_split + (f"; {card.official.n_splits} official folds" if card.official else ""))]
    known += [("licence", card.licence), ("cite", " ".join(card.citation.text.split()) + doi)]
    for source in card.sources:
        size = f", {source.size / 1e6:,.1f} MB" if source.size else ""
        known.append(("source", f"{source.file}{size}, sha256 {source.identity[:12]}"))
    known.append(("content", f"sha256 {card.content_sha256[:12]}" if card.content_sha256 else "no hash on the card"))
    return known
