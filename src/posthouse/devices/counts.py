"""The key counts that every sync answer carries, kept in memory.

(1) An entry is dropped when a change of its device's keys is announced, before any sync hears of it.
(2) What was read while a change was announced isn't kept: it may be from before.
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
        self._announcements = 0
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
        announcements = self._announcements
        counts = await read_counts(self._streams.reader(), user_id, device_id)
        if announcements == self._announcements:
            self._counts[user_id, device_id] = counts
            if len(self._counts) > _COUNTS_MAX:
                self._counts.popitem(last=False)
        return counts

    def _heard(self, entries: Sequence[UserEntry]) -> None:
        for entry in entries:
            if entry.kind is EntryKind.ONE_TIME_KEYS:
                self._announcements += 1
                self._counts.pop((entry.user_id, DeviceId(entry.device_id)), None)

    def _was_reset(self, stream: int) -> None:
        self._announcements += 1
        self._counts.clear()


async def read_counts(reader: Reader, user_id: UserId, device_id: DeviceId) -> KeyCounts:
    one_time, fallbacks = await store.key_counts(reader, user_id, device_id)
    return KeyCounts({DEFAULT_ALGORITHM: 0} | one_time, fallbacks)
