"""Who is typing where: in memory only, with a serial that sync tokens carry.

Not durable: after a restart nobody types, and the epoch in a token says so.
"""

from collections.abc import Callable
from typing import Final

from posthouse.matrix import RoomId, UserId
from posthouse.std.clock import Clock

TIMEOUT_MS_MAX: Final = 120_000
TYPISTS_MAX: Final = 100
"""In one room; whoever starts beyond it isn't shown."""


class TypingNotices:
    """The typing lists of all rooms of this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rooms: dict[RoomId, dict[UserId, float]] = {}
        self._serials: dict[RoomId, int] = {}
        self._listeners: list[Callable[[RoomId], None]] = []
        self.serial = 0
        """Grows with each change anywhere."""

    def listen(self, listener: Callable[[RoomId], None]) -> None:
        self._listeners.append(listener)

    def start(self, room_id: RoomId, user_id: UserId, timeout_ms: int) -> None:
        """Somebody types, for so long if nothing more is heard."""
        typists = self._rooms.setdefault(room_id, {})
        is_new = user_id not in typists
        if is_new and len(typists) >= TYPISTS_MAX:
            return
        timeout_ms = max(1, min(timeout_ms, TIMEOUT_MS_MAX))
        typists[user_id] = self._clock.monotonic() + timeout_ms / 1000
        if is_new:
            self._changed(room_id)

    def stop(self, room_id: RoomId, user_id: UserId) -> None:
        typists = self._rooms.get(room_id)
        if typists is None or user_id not in typists:
            return
        del typists[user_id]
        if not typists:
            del self._rooms[room_id]
        self._changed(room_id)

    def expire(self) -> None:
        """Drops those whose time is over; called about once a second."""
        now = self._clock.monotonic()
        for room_id in list(self._rooms):
            for user_id, until in list(self._rooms.get(room_id, {}).items()):
                if until <= now:
                    self.stop(room_id, user_id)

    def serial_of(self, room_id: RoomId) -> int:
        """The serial of the room's last change; 0 where there was none."""
        return self._serials.get(room_id, 0)

    def rooms_since(self, serial: int) -> list[RoomId]:
        """Rooms whose list changed after a serial."""
        found = []
        for room_id in reversed(self._serials):
            if self._serials[room_id] <= serial:
                break
            found.append(room_id)
        return found

    def typists(self, room_id: RoomId) -> list[UserId]:
        return list(self._rooms.get(room_id, ()))

    def _changed(self, room_id: RoomId) -> None:
        self.serial += 1
        self._serials.pop(room_id, None)
        self._serials[room_id] = self.serial
        while len(self._serials) > _SERIALS_MAX:
            del self._serials[next(iter(self._serials))]
        for listener in self._listeners:
            listener(room_id)


_SERIALS_MAX: Final = 10_000
"""Rooms whose last change is remembered; the oldest are forgotten, with nobody typing there."""
