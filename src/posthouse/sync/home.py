"""People who are online: which rooms they are in, what changed there, who of them waits.

A home lives as long as its person has asked for something lately. It holds references to the
rooms' own objects, so a room's position is one number for all its members.

(1) `dirty` names every joined room with an entry after `floor`, the newest last: an incremental
    sync from the floor or later looks at what changed, an older one compares every room. It holds
    a room once, so it is never longer than the room list.
(2) Memberships come from the person's own stream, in its order: a room is added or taken away
    when its pointer is announced, and `user_position` moves with it.
(3) A bell that rings twice before it was answered counts once.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from posthouse.matrix import RoomId, UserId
from posthouse.rooms import Pointer, Room

if TYPE_CHECKING:
    from posthouse.sync.waiting import Waiter


class Home:
    """One person online."""

    __slots__ = (
        "_ring",
        "dirty",
        "doubts",
        "floor",
        "is_ringing",
        "loaded",
        "reading",
        "rooms",
        "seen_s",
        "sign_outs",
        "stale",
        "to_device_position",
        "user_id",
        "user_position",
        "waiters",
    )

    def __init__(self, user_id: UserId, ring: Callable[["Home"], None]) -> None:
        self.user_id = user_id
        self._ring = ring
        self.rooms: dict[RoomId, tuple[Room, int]] = {}
        """Joined rooms, each with the position of the newest own membership event there: whoever
        asks from before it may not have been in the room all the time. The ids are the strings
        that the rooms hold themselves: everybody shares them.
        """
        self.user_position = 0
        """The newest entry of the person's log that isn't a to-device message."""
        self.to_device_position = 0
        self.dirty: dict[Room, None] = {}
        self.floor: tuple[int, ...] = ()
        self.waiters: list[Waiter] = []
        self.is_ringing = False
        self.loaded = False
        self.stale = False
        """Memberships have changed since they were read: read again before they are used."""
        self.doubts = 0
        """How often that was said: a reading notices what came while it read."""
        self.reading = asyncio.Lock()
        self.seen_s = 0.0
        self.sign_outs: dict[str, int] | None = None
        """Where devices were signed out while the person was online."""

    # -- what rooms tell (rooms.Watcher) -------------------------------------------------------

    def room_changed(self, room: Room) -> None:
        dirty = self.dirty
        dirty.pop(room, None)
        dirty[room] = None
        if self.waiters:
            self._ring(self)

    def somebody_types(self) -> None:
        if self.waiters:
            self._ring(self)

    # -- what changed --------------------------------------------------------------------------

    def changed_since(self, positions: tuple[int, ...], index_base: int) -> list[Room]:
        """The joined rooms with entries after these positions, invariant 1.

        `index_base` is what a room's stream number is above its place in the vector.
        """
        if self.knows_since(positions):
            changed: list[Room] = []
            for room in reversed(self.dirty):
                if room.position > positions[room.stream - index_base]:
                    changed.append(room)
                elif len(positions) == 1:
                    break  # one stream: what stands before is older still
            return changed
        return [
            room
            for room, _ in self.rooms.values()
            if room.position > positions[room.stream - index_base]
        ]

    def sign_out(self, device_id: str, position: int) -> None:
        """A device's tokens are worth nothing from this entry of the person's log on."""
        self.sign_outs = {**(self.sign_outs or {}), device_id: position}

    def signed_out_at(self, device_id: str) -> int:
        """Where that last happened to a device; 0 where it didn't."""
        return self.sign_outs.get(device_id, 0) if self.sign_outs else 0

    def knows_since(self, positions: tuple[int, ...]) -> bool:
        return all(p >= f for p, f in zip(positions, self.floor, strict=True))

    # -- memberships ---------------------------------------------------------------------------

    def doubt(self) -> None:
        """What is known of the memberships may be wrong."""
        self.stale = True
        self.doubts += 1

    def settle(
        self, joined: Iterable[tuple[Pointer, Room]], heads: tuple[int, ...], *, doubts: int
    ) -> None:
        """The memberships as they were read, when there were so many doubts; `heads` are those of
        now, for what came while they were read was told to nobody here.
        """
        before = {room for room, _ in self.rooms.values()}
        # A new dict: an answer on its way goes on with the one it began with.
        self.rooms = {room.room_id: (room, p.room_position) for p, room in joined}
        after = {room for room, _ in self.rooms.values()}
        for room in before - after:
            room.watchers.discard(self)
            self.dirty.pop(room, None)
        for room in after:
            room.watchers.add(self)
        if not self.loaded:
            self.floor = heads
            self.loaded = True
        else:
            for room in after - before:
                self.dirty[room] = None
        self.stale = self.doubts != doubts

    def leave_rooms(self) -> None:
        """Nobody is here any more."""
        for room, _ in self.rooms.values():
            room.watchers.discard(self)
        self.rooms = {}
        self.dirty.clear()
        self.loaded = False
