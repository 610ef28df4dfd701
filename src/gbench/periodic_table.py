"""How many crystals hold each element, on the periodic table: as text for a terminal and as SVG."""

import math
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.text import Text

COLUMNS, ROWS = 18, 9
LANTHANUM, LUTETIUM, ACTINIUM, LAWRENCIUM = 57, 71, 89, 103
SHADES = 6
NARROW, WIDE = 4, 6
"""Characters of a cell on a terminal."""


class Cell(NamedTuple):
    """One element's place, counted from 0; lanthanides and actinides stand in the last two rows."""

    number: int
    symbol: str
    row: int
    column: int


def cells() -> list[Cell]:
    """The elements from H to Lr."""
    from gbench.elements import element_property, symbols

    groups, periods = element_property("group"), element_property("period")
    made = []
    for number, symbol in enumerate(symbols(), start=1):
        row, column = int(periods[number]) - 1, int(groups[number]) - 1
        for first, last, below in ((LANTHANUM, LUTETIUM, 7), (ACTINIUM, LAWRENCIUM, 8)):
            if first <= number <= last:
                row, column = below, 2 + number - first
        made.append(Cell(number, symbol, row, column))
    return made


def shade(count: int, most: int) -> int:
    """0 for none, else 1 to ``SHADES``, on a logarithmic scale."""
    if count == 0:
        return 0
    return 1 + min(SHADES - 1, int(SHADES * math.log(count) / math.log(most))) if most > 1 else SHADES


def brief(count: int) -> str:
    """At most three characters: 999, 1k, 12k, .1M, 3M."""
    if count < 1000:
        return str(count)
    if count < 99_500:
        return f"{round(count / 1000)}k"
    return f".{round(count / 100_000)}M" if count < 950_000 else f"{round(count / 1_000_000)}M"


def text(counts: Mapping[str, int], width: int) -> "Text":
    """The table for a terminal of ``width`` columns: symbol over count, darker where there are more."""
    from rich.text import Text

    size = WIDE if width >= WIDE * COLUMNS else NARROW
    # from the 256 colours, so that a terminal with fewer rounds them; the count says the same
    styles = ["dim", *(f"{ink} on color({color})" for ink, color in zip(_INKS, _COLORS, strict=True))]
    most = max(counts.values(), default=0)
    placed = {(cell.row, cell.column): cell for cell in cells()}
    made = Text()
    for row in range(ROWS):
        if row == 7:
            made.append("\n")
        for line in ("symbol", "count"):
            for column in range(COLUMNS):
                cell = placed.get((row, column))
                if cell is None:
                    made.append(" " * size)
                    continue
                count = counts.get(cell.symbol, 0)
                said = cell.symbol if line == "symbol" else _count(count, size)
                made.append(said.center(size - 1), style=styles[shade(count, most)])
                made.append(" ")
            made.append("\n")
    made.rstrip()
    return made


_COLORS = (195, 152, 116, 73, 30, 23)
_INKS = ("black", "black", "black", "black", "white", "white")


def _count(count: int, size: int) -> str:
    if count == 0:
        return "·"
    return f"{count}" if size == WIDE and count < 100_000 else brief(count)


def svg(counts: Mapping[str, int], title: str) -> str:
    """The table as a standalone drawing, light or dark as the viewer prefers."""
    side, gap, top = 46, 3, 54
    step = side + gap
    most = max(counts.values(), default=0)
    drawn = []
    for cell in cells():
        count = counts.get(cell.symbol, 0)
        x, y = 12 + cell.column * step, top + cell.row * step + (12 if cell.row > 6 else 0)
        level = shade(count, most)
        drawn.append(
            f'<g class="s{level}"><title>{cell.symbol}: {count:,}</title>'
            f'<rect x="{x}" y="{y}" width="{side}" height="{side}" rx="3"/>'
            f'<text x="{x + side / 2:g}" y="{y + 21}" class="symbol">{cell.symbol}</text>'
            f'<text x="{x + side / 2:g}" y="{y + 37}" class="count">{_short(count) if count else ""}</text></g>'
        )
    width, height = 24 + COLUMNS * step - gap, top + ROWS * step + 12 + 12
    present = sum(count > 0 for count in counts.values())
    said = f"{escape(title)}: {present} elements; the most frequent is in {most:,}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(said, quote=True)}">\n<style>{_STYLE}</style>\n'
        f'<rect class="paper" width="{width}" height="{height}"/>\n'
        f'<text x="12" y="24" class="title">{escape(title)}</text>\n'
        '<text x="12" y="42" class="about">crystals that hold each element, on a logarithmic scale</text>\n'
        + "\n".join(drawn)
        + "\n</svg>\n"
    )


def _short(count: int) -> str:
    return f"{count:,}" if count < 100_000 else brief(count)


_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif'
_SHADES_LIGHT = ("#f5f7f8", "#dcedeb", "#b6d9d5", "#86c0ba", "#4f9f98", "#247d76", "#0b5a54")
_SHADES_DARK = ("#1b2125", "#1d3633", "#20504b", "#256c66", "#338c84", "#4cada3", "#74d0c6")


def _rules(shades: tuple[str, ...], light_from: int, light: str, dark: str, soft: str) -> str:
    rules = []
    for level, color in enumerate(shades):
        ink = soft if level == 0 else light if level >= light_from else dark
        rules.append(f".s{level} rect{{fill:{color}}}.s{level} text{{fill:{ink}}}")
    return "".join(rules)


_STYLE = (
    f"text{{font-family:{_FONT};text-anchor:middle;font-variant-numeric:tabular-nums}}"
    ".symbol{font-size:16px;font-weight:600}.count{font-size:11px}"
    ".title,.about{text-anchor:start}.title{font-size:17px;font-weight:620;fill:#1b1f24}"
    ".about{font-size:12px;fill:#59626d}.paper{fill:#ffffff}"
    + _rules(_SHADES_LIGHT, 5, "#ffffff", "#1b1f24", "#8a939c")
    + "@media (prefers-color-scheme:dark){.paper{fill:#14181b}.title{fill:#e4e8eb}.about{fill:#9ba6b0}"
    + _rules(_SHADES_DARK, 5, "#14181b", "#e4e8eb", "#6c7780")
    + "}"
)
