"""How hard a split is: the card that every score needs beside it.

``get_card(dataset, split, spec, target)`` gives the :class:`SplitCard` of a split;
``docs/splits.md`` says what it holds.
"""

from gbench.audit.card import SplitCard
from gbench.audit.facts import Facts
from gbench.audit.store import get_card

__all__ = ["Facts", "SplitCard", "get_card"]
