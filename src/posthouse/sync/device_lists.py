"""Whose devices one must look at again, and whose no longer: `device_lists` of a sync.

`changed` may name somebody once too often: clients then ask for keys that they have. `left` never
does: a client stops following whoever is named there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from posthouse.matrix import RoomId, UserId
from posthouse.rooms import Event, Reading, Room, RoomMemory, Span


@dataclass(slots=True)
class DeviceLists:
    """Two sets that never overlap."""

    changed: set[UserId] = field(default_factory=set)
    left: set[UserId] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A room over which changes are looked for, and what the person was at both ends. It ends where
    the person left, if they did: who came later is nobody they know.
    """

    span: Span
    was_joined: bool
    is_joined: bool


class DeviceListReader:
    """Reads device notes and memberships of encrypted rooms."""

    def __init__(self, memory: RoomMemory, reading: Reading) -> None:
        self._memory = memory
        self._reading = reading

    async def between(
        self, user_id: UserId, stretches: Sequence[Stretch], joined: Iterable[RoomId]
    ) -> DeviceLists:
        """What changed over the stretches; `joined` are the rooms that the person is in at the end."""
        lists = DeviceLists()
        gone: set[UserId] = set()
        encrypted = await self._reading.encrypted(stretch.span.room for stretch in stretches)
        for stretch in stretches:
            room = stretch.span.room
            if room not in encrypted:
                continue
            if stretch.was_joined and stretch.is_joined:
                await self._live(stretch.span, lists, gone)
            elif stretch.is_joined:
                lists.changed.update(await self._reading.joined_ids(room))
            elif stretch.was_joined:
                await self._live(stretch.span, DeviceLists(), gone)
                gone.update(await self._joined_at(room, stretch.span.up_to))
        gone -= {user_id}
        if gone:
            mine = await self._memory.get_many(list(joined))
            shared = await self._reading.encrypted(mine.values())
            keys = [room.key for room in shared]
            lists.left = gone - await self._reading.joined_somewhere(keys, gone)
        lists.changed -= lists.left
        return lists

    async def _joined_at(self, room: Room, place: int) -> list[UserId]:
        """Who was in the room when the person left it."""
        members = await self._reading.all_members(room, place)
        return [UserId(e.state_key or "") for e in members if e.membership == "join"]

    async def _live(self, span: Span, lists: DeviceLists, gone: set[UserId]) -> None:
        """Notes, and who came and went."""
        for entry in await self._reading.entries_that_concern_devices(span):
            if not isinstance(entry, Event):
                lists.changed.add(entry.user_id)
            elif entry.type == "m.room.encryption":
                # Encrypted from here on: everybody's devices matter now.
                lists.changed.update(await self._reading.joined_ids(span.room))
            elif entry.type == "m.room.member" and entry.state_key:
                someone = UserId(entry.state_key)
                if entry.membership == "join":
                    lists.changed.add(someone)
                    gone.discard(someone)
                elif entry.membership in ("leave", "ban"):
                    gone.add(someone)
