"""The recent entries of a stream, in memory, ready to be sent."""

from collections import deque
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar


class TailEntry(Protocol):
    """What a tail needs to know of an entry."""

    @property
    def position(self) -> int: ...

    @property
    def key(self) -> int:
        """The room or person it belongs to."""
        ...

    @property
    def size(self) -> int:
        """Bytes it holds in memory, roughly."""
        ...


E = TypeVar("E", bound=TailEntry)


class Tail(Generic[E]):
    """A bounded run of a stream's newest entries, also by key.

    (1) Holds every entry with `floor < position <= head`, so one number says what can be answered
        from memory for any key.
    (2) Never holds more than `bytes_max`, the newest entry excepted.
    """

    __slots__ = ("_by_key", "_bytes", "_bytes_max", "_entries", "floor")

    def __init__(self, *, head: int, bytes_max: int) -> None:
        self.floor = head
        self._bytes_max = bytes_max
        self._bytes = 0
        self._entries: deque[E] = deque()
        self._by_key: dict[int, deque[E]] = {}

    def append(self, entry: E) -> None:
        self._entries.append(entry)
        of_key = self._by_key.get(entry.key)
        if of_key is None:
            of_key = self._by_key[entry.key] = deque()
        of_key.append(entry)
        self._bytes += entry.size
        while self._bytes > self._bytes_max and len(self._entries) > 1:
            self._drop_oldest()

    def since(self, key: int, after: int, up_to: int) -> Sequence[E] | None:
        """The entries of `key` with `after < position <= up_to`; None where memory falls short."""
        if after < self.floor:
            return None
        of_key = self._by_key.get(key)
        if not of_key:
            return ()
        found: list[E] = []
        for entry in reversed(of_key):
            if entry.position <= after:
                break
            if entry.position <= up_to:
                found.append(entry)
        found.reverse()
        return found

    def reset(self, head: int) -> None:
        """Forgets everything: the stream's entries are to be read from storage again."""
        self._entries.clear()
        self._by_key.clear()
        self._bytes = 0
        self.floor = head

    def _drop_oldest(self) -> None:
        entry = self._entries.popleft()
        of_key = self._by_key[entry.key]
        of_key.popleft()
        if not of_key:
            del self._by_key[entry.key]
        self._bytes -= entry.size
        self.floor = entry.position
