"""Which sends were already made: the transaction ids of the last hour, in memory.

Two layers like a room's: what is pending is forgotten with a failed commit. The truth is the
column in the log; what is older than `floor_ms` is looked up there.
"""

from collections.abc import Iterable
from typing import Final

from posthouse.matrix import EventId
from posthouse.rooms.model import TransactionKey

KEPT_MS: Final = 3_600_000
KEPT_MAX: Final = 200_000


class TransactionMemory:
    """The recent transaction ids of one stream."""

    __slots__ = ("_committed", "_pending", "complete_since_ms")

    def __init__(self) -> None:
        self._committed: dict[TransactionKey, tuple[EventId, int]] = {}
        self._pending: dict[TransactionKey, EventId] = {}
        self.complete_since_ms = 0
        """Every transaction of that time and later is here."""

    def committed(self, key: TransactionKey) -> EventId | None:
        found = self._committed.get(key)
        return found[0] if found else None

    def pending(self, key: TransactionKey) -> EventId | None:
        return self._pending.get(key) or self.committed(key)

    def expect(self, key: TransactionKey, event_id: EventId) -> None:
        """A send is on its way."""
        self._pending[key] = event_id

    def keep(self, key: TransactionKey, event_id: EventId, ts: int) -> None:
        """A send was committed at `ts`."""
        self._pending.pop(key, None)
        self._committed[key] = event_id, ts
        while len(self._committed) > KEPT_MAX or self._oldest_ts() < ts - KEPT_MS:
            oldest = next(iter(self._committed))
            self.complete_since_ms = max(self.complete_since_ms, self._committed[oldest][1] + 1)
            del self._committed[oldest]

    def drop_pending(self) -> None:
        self._pending.clear()

    def refill(
        self, found: Iterable[tuple[TransactionKey, EventId, int]], complete_since_ms: int
    ) -> None:
        """Starts again from the log: `found` is oldest first."""
        self._committed = {key: (event_id, ts) for key, event_id, ts in found}
        self._pending = {}
        self.complete_since_ms = complete_since_ms

    def _oldest_ts(self) -> int:
        return next(iter(self._committed.values()))[1]
