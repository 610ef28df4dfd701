"""What one run leaves for the next in the same process."""

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Held:
    """The last dataset, graphs and tensors that a run used: many short runs on one dataset load it once.

    Of each kind one thing is held, and it is let go before another is made.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[object, Any]] = {}

    def get(self, kind: str, key: object, make: Callable[[], T]) -> T:
        """The thing of a kind that was made last, if it was made for this key; else what ``make`` gives."""
        found, thing = self._last.get(kind, (None, None))
        if found != key or thing is None:
            self._last.pop(kind, None)
            del thing
            thing = make()
            self._last[kind] = (key, thing)
        made: T = thing
        return made
