"""Which sends were already made: the transaction ids of the last hour, in memory.

Two layers like a room's: what is pending is forgotten with a failed commit. The truth is the
column in the log.

What is let go of is found in the index (`transaction_index`) from then on: where more is sent in an
hour than is kept, what the index doesn't have yet stays a while, and the index hurries.
"""

from collections.abc import Iterable
from typing import Final

from posthouse.matrix import EventId
from posthouse.rooms.model import TransactionKey

KEPT_MS: Final = 3_600_000
KEPT_MAX: Final = 200_000
WAITING_MAX: Final = 2 * KEPT_MAX
"""Kept whatever the index has: a bound for one that can't write."""


class TransactionMemory:
    """The recent transaction ids of one stream."""

    __slots__ = ("_committed", "_pending", "complete_since_ms", "entered")

    def __init__(self) -> None:
        self._committed: dict[TransactionKey, tuple[EventId, int, int]] = {}
        """In the order of the log: event, ts, position."""
        self._pending: dict[TransactionKey, EventId] = {}
        self.entered = 0
        """Up to this position of the stream the index has everything."""
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

    def keep(self, key: TransactionKey, event_id: EventId, ts: int, position: int) -> None:
        """A send was committed at `ts`."""
        self._pending.pop(key, None)
        self._committed[key] = event_id, ts, position
        while self._lets_go_at(ts):
            oldest = next(iter(self._committed))
            self.complete_since_ms = max(self.complete_since_ms, self._committed[oldest][1] + 1)
            del self._committed[oldest]

    def _lets_go_at(self, now_ms: int) -> bool:
        _, ts, position = next(iter(self._committed.values()))
        if position > self.entered:
            return len(self._committed) > WAITING_MAX
        return len(self._committed) > KEPT_MAX or ts < now_ms - KEPT_MS

    def drop_pending(self) -> None:
        self._pending.clear()

    def refill(
        self, found: Iterable[tuple[TransactionKey, EventId, int, int]], complete_since_ms: int
    ) -> None:
        """Starts again from the log: `found` is oldest first."""
        self._committed = {key: (event_id, ts, position) for key, event_id, ts, position in found}
        self._pending = {}
        self.complete_since_ms = complete_since_ms
