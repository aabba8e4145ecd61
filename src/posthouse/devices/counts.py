"""The key counts that every sync answer carries, kept in memory.

(1) An entry is dropped when a change of its device's keys is announced, before any sync hears of it.
(2) What was read while a change of the same device was announced isn't kept: it may be from
    before. Changes of others don't matter, or a busy hour would have every poll read again.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from posthouse.devices import store
from posthouse.devices.model import DEFAULT_ALGORITHM, KeyCounts
from posthouse.matrix import DeviceId, UserId
from posthouse.storage import Reader
from posthouse.streams import EntryKind, UserEntry, UserStreams

_COUNTS_MAX: Final = 50_000


class CountsCache:
    """Bounded; the least recently asked for go first."""

    def __init__(self, streams: UserStreams) -> None:
        self._streams = streams
        self._counts: OrderedDict[tuple[UserId, DeviceId], KeyCounts] = OrderedDict()
        self._readings: dict[tuple[UserId, DeviceId], object] = {}
        """The newest reading of each device that nothing was announced for yet."""
        streams.listen(self._heard)
        streams.listen_reset(self._was_reset)

    def cached(self, user_id: UserId, device_id: DeviceId) -> KeyCounts | None:
        """What is in memory, without waiting."""
        counts = self._counts.get((user_id, device_id))
        if counts is not None:
            self._counts.move_to_end((user_id, device_id))
        return counts

    async def of(self, user_id: UserId, device_id: DeviceId) -> KeyCounts:
        if (counts := self.cached(user_id, device_id)) is not None:
            return counts
        key = user_id, device_id
        reading = self._readings[key] = object()
        try:
            counts = await read_counts(self._streams.reader(), user_id, device_id)
            if self._readings.get(key) is reading:
                self._counts[key] = counts
                if len(self._counts) > _COUNTS_MAX:
                    self._counts.popitem(last=False)
        finally:
            if self._readings.get(key) is reading:
                del self._readings[key]
        return counts

    def _heard(self, entries: Sequence[UserEntry]) -> None:
        for entry in entries:
            if entry.kind is EntryKind.ONE_TIME_KEYS:
                key = entry.user_id, DeviceId(entry.device_id)
                self._readings.pop(key, None)
                self._counts.pop(key, None)

    def _was_reset(self, stream: int) -> None:
        self._readings.clear()
        self._counts.clear()


async def read_counts(reader: Reader, user_id: UserId, device_id: DeviceId) -> KeyCounts:
    one_time, fallbacks = await store.key_counts(reader, user_id, device_id)
    return KeyCounts({DEFAULT_ALGORITHM: 0} | one_time, fallbacks)
