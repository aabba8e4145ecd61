"""Rooms as they look from outside: the summary of one, for those who may know of it.

(1) Who may know of a room: its members and who is invited; where the join rule lets anybody in or
    knock, or where the world may read, everybody; where it lets in who is in other rooms, they.
(2) A room that the caller may not know of answers as one that isn't there.
(3) Every look is of one moment: the head is captured before it is read what the person is to the
    room, and the room is shown as it stood there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from posthouse.matrix import Membership, RoomId, UserId, event_types
from posthouse.rooms.errors import NoSuchRoom
from posthouse.rooms.facts import FACT_TYPES, RoomFacts, facts_in
from posthouse.rooms.memory import RoomMemory
from posthouse.rooms.model import Event
from posthouse.rooms.reading import Reading
from posthouse.rooms.restricted import is_let_in
from posthouse.rooms.room import Room
from posthouse.streams import RoomStreams, UserStreams

CHILDREN_READ_MAX: Final = 2_000
"""Children of one space that are read, those included that were taken away again."""

NOBODY: Final = UserId("")
"""Whom no room knows: how somebody without an account looks at rooms."""


@dataclass(frozen=True, slots=True)
class Look:
    """One room, as one person may see it from outside."""

    room: Room
    place: int
    """Where the room's log stood."""
    facts: RoomFacts
    membership: str


class Previews:
    """Looks at rooms from outside."""

    def __init__(
        self,
        memory: RoomMemory,
        reading: Reading,
        room_streams: RoomStreams,
        user_streams: UserStreams,
    ) -> None:
        self._memory = memory
        self._reading = reading
        self._streams = room_streams
        self._user_streams = user_streams

    async def summary(self, user_id: UserId | None, room_id: RoomId) -> dict[str, Any]:
        """What the person may know of a room, their own membership with it; None is for somebody
        who isn't signed in. Raises NoSuchRoom.
        """
        look = (await self.looks(user_id, [room_id])).get(room_id)
        if look is None:
            raise NoSuchRoom()
        summary = look.facts.summary()
        if user_id is not None:
            summary["membership"] = look.membership
        return summary

    async def looks(self, user_id: UserId | None, room_ids: Iterable[RoomId]) -> dict[RoomId, Look]:
        """Those of the rooms that the person may know of, in a few statements for all of them."""
        found = await self._memory.get_many(list(dict.fromkeys(room_ids)))
        rooms = [room for room_id, room in found.items() if room.room_id == room_id]
        if not rooms:
            return {}
        places = {room: self._streams.head(room.stream) for room in rooms}  # first: invariant 3
        sights = await self._reading.sights(rooms, user_id or NOBODY)
        states = await self._reading.states_of_types(places, FACT_TYPES)
        counts = await self._reading.counts(rooms)
        joined = await self._joined(user_id)
        looks = {}
        for room, place in places.items():
            facts = facts_in(room, states[room], counts[room][0])
            membership = sights[room].membership_at(place) if user_id else Membership.LEAVE
            if await self._may_know(user_id, facts, membership, joined):
                looks[room.room_id] = Look(room, place, facts, membership)
        return looks

    async def children(self, look: Look) -> list[Event]:
        """The `m.space.child` events of a room that the person may know of."""
        return await self._reading.state_of_type(
            look.room, event_types.SPACE_CHILD, look.place, CHILDREN_READ_MAX
        )

    async def _joined(self, user_id: UserId | None) -> frozenset[RoomId]:
        """The rooms that the person's own stream says they are in: where to look for the truth."""
        if user_id is None:
            return frozenset()
        pointers = await self._reading.pointers(self._user_streams.reader(), user_id)
        return frozenset(p.room_id for p in pointers if p.membership == Membership.JOIN)

    async def _may_know(
        self,
        user_id: UserId | None,
        facts: RoomFacts,
        membership: str,
        joined: frozenset[RoomId],
    ) -> bool:
        """Invariant 1."""
        if membership in (Membership.JOIN, Membership.INVITE) or facts.is_open_to_strangers:
            return True
        return (
            user_id is not None
            and membership != Membership.BAN
            and await is_let_in(
                self._memory, [room for room in facts.allowed_rooms if room in joined], user_id
            )
        )
