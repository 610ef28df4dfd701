"""What was found when a law was held over a model."""

from gbench.cards import Frozen

TOLERANCE = 1e-8
"""What float64 leaves of a change that should be none."""


class Finding(Frozen):
    """What was found when a law was held over a model."""

    law: str
    holds: bool | None
    """None where it could not be looked at here."""
    largest: float | None = None
    """Largest change, gradient difference or error seen, in the network's own scale, where the law is about one."""
    limit: float | None = None
    """What ``largest`` is compared with."""
    note: str = ""

    @property
    def result(self) -> str:
        """One word."""
        return "not checked" if self.holds is None else "holds" if self.holds else "BROKEN"

    @property
    def sentence(self) -> str:
        """All that is known in a line."""
        seen = "" if self.largest is None else f", largest change {self.largest:.2e}"
        seen += "" if self.largest is None or self.limit is None else f" (limit {self.limit:.0e})"
        return f"{self.law}: {self.result}{seen}{'; ' if self.note else ''}{self.note}"
