"""Numbers as text."""

import itertools
import math
from datetime import UTC, datetime

NONE = "–"
MOST_DECIMALS = 6


def decimals_for(value: float, digits: int = 3) -> int:
    """Decimals that show ``value`` with this many significant digits, between 0 and 6."""
    if value == 0 or not math.isfinite(value):
        return digits - 1
    return min(MOST_DECIMALS, max(0, digits - 1 - math.floor(math.log10(abs(value)))))


def fixed(value: float | None, decimals: int = 3) -> str:
    """``1,234.50``; a true minus sign; a dash for None."""
    if value is None:
        return NONE
    text = f"{value:,.{decimals}f}"
    if text.startswith("-"):
        # what rounds to zero has no sign
        return text[1:] if float(text.replace(",", "")) == 0 else "−" + text[1:]
    return text


def significant(value: float | None, digits: int = 3) -> str:
    """The value with so many significant digits."""
    return NONE if value is None else fixed(value, decimals_for(value, digits))


def moment(text: str) -> str:
    """An ISO 8601 time as ``2026-03-01 12:00 UTC``; anything else as it is."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{found.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if found.tzinfo else text


def percent(share: float | None) -> str:
    """A share in percent, one decimal, no sign for the unit."""
    return NONE if share is None else fixed(100 * share, 1)


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers between ``low`` and ``high``, about so many."""
    if high <= low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def tick_text(values: list[float]) -> list[str]:
    """Ticks as text, with the decimals their spacing needs."""
    step = min((b - a for a, b in itertools.pairwise(values)), default=abs(values[0]) if values else 1.0)
    decimals = decimals_for(step, 1) if step else 0
    return [fixed(value, decimals) for value in values]
