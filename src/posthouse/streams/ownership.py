"""Whether this process still owns what it took over.

(1) Ownership is lost once and for good: what another process writes from then on, this one doesn't
    know, so that nothing is answered from memory any more.
(2) Whoever must act on it (the process ends loudly) is told in the same turn of the loop.
"""

from collections.abc import Callable

from posthouse.streams.errors import SteppedDown


class Ownership:
    """One for all streams of a process: owners of half of them are of no use to anybody."""

    def __init__(self) -> None:
        self.lost = False
        self._listeners: list[Callable[[], None]] = []

    def check(self) -> None:
        """Raises SteppedDown where another process has taken over."""
        if self.lost:
            raise SteppedDown()

    def listen(self, listener: Callable[[], None]) -> None:
        """`listener` is told once, when it is lost."""
        self._listeners.append(listener)

    def lose(self) -> None:
        """A writer found another's epoch in its stream's row."""
        if self.lost:
            return
        self.lost = True
        for listener in self._listeners:
            listener()
