"""Mistakes a user can mend: one clear sentence, no traceback, exit code 2."""

import difflib
from collections.abc import Iterable


class GbenchError(Exception):
    """Base of every error that is shown to a person as one sentence with the fix, on one line."""

    def __init__(self, sentence: str = "") -> None:
        # libraries, whose words a sentence may quote, like to write several
        super().__init__(" ".join(filter(None, map(str.strip, sentence.splitlines()))))


class CardError(GbenchError):
    """A card breaks its schema."""


class UnknownNameError(GbenchError):
    """A dataset, model, split, target or option that does not exist."""


class FetchError(GbenchError):
    """A source file could not be had, or is not the file the card names."""


class DataError(GbenchError):
    """Structures or labels that no model can learn from: NaN, infinite, overlapping, empty."""


class GraphError(GbenchError):
    """A graph cannot be built as its spec demands."""


class SplitError(GbenchError):
    """A split cannot be made, or a frozen one does not fit its dataset."""


class SpecError(GbenchError):
    """A run is described by values that do not fit together."""


class TrainingError(GbenchError):
    """Training cannot go on."""

    def __init__(self, sentence: str = "", step: int | None = None) -> None:
        super().__init__(sentence)
        self.step = step
        """At which step, counted from 0, where that explains something."""


class StorageError(GbenchError):
    """An output folder cannot be written."""


class BusyError(StorageError):
    """Another process is working on the run."""


class SweepError(GbenchError):
    """A suite cannot be read, or what is to run it is not there."""


def unknown(kind: str, name: str, known: Iterable[str], listing: str = "") -> UnknownNameError:
    """The error for a name that does not exist, with the nearest names that do.

    ``listing`` is the command that shows them all, or empty.
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
    hint = f"; did you mean {' or '.join(repr(match) for match in close)}?" if close else "."
    if listing:
        hint += f" `{listing}` shows all {len(names)}"
    elif not close:
        hint = f"; known: {', '.join(names)}"
    return UnknownNameError(f"no {kind} {name!r}{hint}")
