"""Reading rooms: timelines, state at a place, and who may see what of it.

`Sight` is the one answer to "may this person see that": sync, messages, context, event, state and
media all ask it.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from msgspec import structs

from posthouse.matrix import (
    STRIPPED_STATE,
    EventId,
    HistoryVisibility,
    Membership,
    Range,
    RoomId,
    UserId,
    may_see,
    visible_ranges,
)
from posthouse.rooms import store
from posthouse.rooms.memory import RoomMemory
from posthouse.rooms.model import Entry, Event, Pointer
from posthouse.rooms.room import ENCRYPTION, Room
from posthouse.rooms.wire import room_field
from posthouse.storage import Reader

MEMBERS_MAX: Final = 200_000

ROWS_PER_READ: Final = 5_000
"""Events that one statement reads for several rooms: what a turn of the loop bears on SQLite."""
"""The largest room that is supported (docs/architecture.md §6)."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one room's log: `after < position <= up_to`."""

    room: Room
    after: int
    up_to: int


@dataclass(frozen=True, slots=True)
class Sight:
    """What one person may see of one room, and how their membership changed."""

    ranges: Sequence[Range]
    memberships: Sequence[tuple[int, str]]
    visibilities: Sequence[tuple[int, str]] = ()
    """How the room's history visibility changed."""

    def sees(self, position: int) -> bool:
        return may_see(self.ranges, position)

    def membership_at(self, position: int) -> str:
        """The own membership after the event at a position; `leave` before the first."""
        at = bisect_right(self.memberships, position, key=lambda change: change[0])
        return self.memberships[at - 1][1] if at else "leave"

    def visibility_at(self, position: int) -> HistoryVisibility:
        """The room's history visibility after the event at a position."""
        at = bisect_right(self.visibilities, position, key=lambda change: change[0])
        return HistoryVisibility.of(self.visibilities[at - 1][1] if at else None)

    def of_a_stranger(self) -> "Sight":
        """What is seen by who was never there: what the whole world may read."""
        return Sight(visible_ranges(self.visibilities, ()), (), self.visibilities)

    @property
    def ever_member(self) -> bool:
        """Whether the room ever knew the person: a stranger's requests look as to no room."""
        return bool(self.memberships)

    def was_joined_within(self, after: int, up_to: int) -> bool:
        """Whether the person was in the room at some time from `after` on."""
        return self.membership_at(after) == "join" or any(
            after < at <= up_to and membership == "join" for at, membership in self.memberships
        )

    def left_at(self, up_to: int) -> int | None:
        """Where the person's last stay ended; None while they stay. What came after it, a ban for
        one, isn't theirs to see.
        """
        left: int | None = None
        for at, membership in self.memberships:
            if at > up_to:
                break
            if membership == "join":
                left = None
            elif left is None:
                left = at
        return left


def as_seen(event: Event, sight: Sight, reader: UserId) -> Event:
    """An event that the reader sees, without what stands around it and isn't theirs to see: a
    redaction that came after they left, the content of before their time.

    Whoever was in the room when a piece of state was replaced could read what was replaced.
    https://spec.matrix.org/v1.19/client-server-api/#room-event-format (`prev_content`)
    """
    if event.because is not None and not sight.sees(event.redacted_by):
        event = structs.replace(event, because=None)
    if event.replaces and not (
        sight.sees(event.replaces)
        or sight.membership_at(event.position - 1) == Membership.JOIN
        or (event.type == "m.room.member" and event.state_key == reader)
    ):
        event = structs.replace(event, prev_content=None, replaces_id=None)
    return event


class Reading:
    """Reads logs for people; every read is bounded by a position that was captured before."""

    def __init__(self, memory: RoomMemory) -> None:
        self._memory = memory

    async def timelines(self, spans: Sequence[Span], limit: int) -> dict[Room, list[Event]]:
        """The newest `limit` events of each span, oldest first; memory first, then one statement
        for as many rooms as it may read at once.
        """
        found: dict[Room, list[Event]] = {}
        cold: list[Span] = []
        for span in spans:
            entries = self._memory.tail(span.room.stream).since(
                span.room.key, span.after, span.up_to
            )
            if entries is None:
                cold.append(span)
            else:
                events = [entry for entry in entries if isinstance(entry, Event)]
                found[span.room] = events[-limit:] if limit else []
        if cold:
            by_key: dict[int, list[Event]] = {span.room.key: [] for span in cold}
            width = max(1, ROWS_PER_READ // max(1, limit))
            for first in range(0, len(cold), width):
                some = cold[first : first + width]
                for event in await store.timelines(
                    self._memory.reader(),
                    [span.room.key for span in some],
                    [span.after for span in some],
                    [span.up_to for span in some],
                    limit,
                ):
                    by_key[event.key].append(event)
            rooms = {span.room.key: span.room for span in cold}
            for key, events in by_key.items():
                events.sort(key=_position)
                found[rooms[key]] = events
            await self.dress([(rooms[key], events) for key, events in by_key.items()])
        return found

    async def sights(self, rooms: Sequence[Room], user_id: UserId) -> dict[Room, Sight]:
        """What the person may see of each room, in one statement."""
        visibility: dict[int, list[tuple[int, str]]] = {room.key: [] for room in rooms}
        memberships: dict[int, list[tuple[int, str]]] = {room.key: [] for room in rooms}
        rows = await store.sights(self._memory.reader(), [room.key for room in rooms], user_id)
        for key, type_, position, content in rows:
            if type_ == "m.room.member":
                memberships[key].append((position, orjson.loads(content)["membership"]))
            else:
                value = orjson.loads(content).get("history_visibility")
                visibility[key].append((position, value if isinstance(value, str) else ""))
        return {
            room: Sight(
                visible_ranges(visibility[room.key], memberships[room.key]),
                memberships[room.key],
                visibility[room.key],
            )
            for room in rooms
        }

    async def sight(self, room: Room, user_id: UserId) -> Sight:
        return (await self.sights([room], user_id))[room]

    async def states(self, places: Mapping[Room, int], *, members: bool) -> dict[Room, list[Event]]:
        """The state of each room after the entry at a position, with or without its members."""
        found: dict[Room, list[Event]] = {room: [] for room in places}
        rooms = {room.key: room for room in places}
        for event in await store.current_states(
            self._memory.reader(), list(rooms), members=members
        ):
            found[rooms[event.key]].append(event)
        for room, position in places.items():
            if any(event.position > position for event in found[room]):
                # The room went on since the place was captured: rolled back, by the log.
                found[room] = [
                    event
                    for event in await store.state_at(self._memory.reader(), room.key, position)
                    if members or event.type != "m.room.member"
                ]
        return found

    async def states_of_types(
        self, places: Mapping[Room, int], types: Sequence[str]
    ) -> dict[Room, list[Event]]:
        """The state events of some types with the empty key, as they stood at a position of each
        room.
        """
        found: dict[Room, list[Event]] = {room: [] for room in places}
        rooms = {room.key: room for room in places}
        for event in await store.states_of_types(self._memory.reader(), list(rooms), types):
            room = rooms[event.key]
            standing = await self._as_it_stood(event, places[room])
            if standing is not None:
                found[room].append(standing)
        return found

    async def state_of_type(self, room: Room, type_: str, place: int, limit: int) -> list[Event]:
        """The state events of one type, of every key, as they stood at a position; with more than
        `limit`, those that stand longest.
        """
        events = await store.current_of_type(self._memory.reader(), room.key, type_, limit)
        stood = [await self._as_it_stood(event, place) for event in events]
        return [event for event in stood if event is not None]

    async def _as_it_stood(self, event: Event, place: int) -> Event | None:
        """A current state event, or what stood in its place at a position."""
        if event.position <= place:
            return event
        return await store.state_key_at(
            self._memory.reader(), event.key, event.type, event.state_key or "", place
        )

    async def first_at_time(self, room: Room, ts: int, up_to: int) -> int:
        """The position of the first event up to a place that isn't older than a time; the next
        position after the place where there is none. Times only grow along a room's log.
        """
        low, high = 0, up_to + 1
        while low < high:
            middle = (low + high) // 2
            found = await store.time_from(self._memory.reader(), room.key, middle)
            if found is None or found[0] >= high or found[1] >= ts:
                high = middle
            else:
                low = found[0] + 1
        return low

    async def state_between(self, span: Span) -> list[Event]:
        """The state that changed within a span: the last event of each key."""
        events = await store.state_between(
            self._memory.reader(), span.room.key, span.after, span.up_to
        )
        return list({(event.type, event.state_key): event for event in events}.values())

    async def members_at(
        self, wanted: Mapping[Room, Iterable[str]], places: Mapping[Room, int]
    ) -> dict[Room, list[Event]]:
        """The member events of some people, as they stood at a position."""
        found: dict[Room, list[Event]] = {room: [] for room in wanted}
        rooms = {room.key: room for room in wanted}
        pairs = [(room.key, user) for room, users in wanted.items() for user in users]
        later: list[tuple[int, str, int]] = []
        for event in await store.members_of_rooms(self._memory.reader(), pairs):
            room = rooms[event.key]
            if event.position > places[room]:
                later.append((room.key, event.state_key or "", places[room]))
            else:
                found[room].append(event)
        for event in await store.members_at_places(self._memory.reader(), later):
            found[rooms[event.key]].append(event)
        return found

    async def all_members(self, room: Room, place: int) -> list[Event]:
        """The member events of everybody who was ever in a room, as they stood at a position."""
        reader = self._memory.reader()
        members = await store.all_members(reader, room.key)
        if any(event.position > place for event in members):
            return await store.all_members_at(reader, room.key, place)
        return members

    async def state_event(self, room: Room, type_: str, state_key: str, place: int) -> Event | None:
        """One key of the state, as it stood at a position."""
        return await store.state_key_at(self._memory.reader(), room.key, type_, state_key, place)

    async def event(self, room: Room, event_id: EventId) -> Event | None:
        """An event of this room by its id, whoever may see it."""
        return await store.event_by_id(self._memory.reader(), room.key, event_id)

    async def stretch(self, span: Span, limit: int, *, backwards: bool) -> list[Event]:
        """The first `limit` events of a span, from its newest or from its oldest on."""
        read = store.events_backwards if backwards else store.events_forwards
        return await read(
            self._memory.reader(), span.room.key, after=span.after, up_to=span.up_to, limit=limit
        )

    async def pointer(self, reader: Reader, user_id: UserId, room_id: RoomId) -> Pointer | None:
        """A person's membership of one room, as their own stream has it."""
        return await store.pointer_of(reader, user_id, room_id)

    async def roll_back(self, room: Room, state: Sequence[Event], start: int) -> list[Event]:
        """The same state before the event at `start`: each state event stores what it replaced."""
        settled = [event for event in state if event.position < start]
        places = [
            (room.key, event.replaces)
            for event in state
            if event.position >= start and event.replaces
        ]
        while places:
            older = await store.events_at_places(self._memory.reader(), places)
            settled += [event for event in older if event.position < start]
            places = [
                (room.key, event.replaces)
                for event in older
                if event.position >= start and event.replaces
            ]
        return settled

    async def joined_ids(self, room: Room) -> list[UserId]:
        """Everybody who is joined now."""
        return await store.member_ids(self._memory.reader(), room.key, "join", MEMBERS_MAX)

    async def encrypted(self, rooms: Iterable[Room]) -> set[Room]:
        """Those of the rooms that are encrypted now; memory first, then one statement."""
        found: set[Room] = set()
        cold: dict[int, Room] = {}
        for room in rooms:
            if not room.loaded:
                cold[room.key] = room
            elif room.current(*ENCRYPTION) is not None:
                found.add(room)
        if cold:
            keys = await store.encrypted_rooms(self._memory.reader(), list(cold))
            found.update(cold[key] for key in keys)
        return found

    async def joined_somewhere(self, keys: Sequence[int], users: Iterable[str]) -> set[UserId]:
        """Those of the people who are joined to at least one of these rooms now."""
        return await store.joined_somewhere(self._memory.reader(), keys, list(users))

    async def counts(self, rooms: Sequence[Room]) -> dict[Room, tuple[int, int]]:
        """How many are joined and invited, for each room."""
        by_key = await store.counts_of_rooms(self._memory.reader(), [r.key for r in rooms])
        return {room: by_key[room.key] for room in rooms}

    async def named(self, rooms: Sequence[Room]) -> set[Room]:
        """The rooms that have a name of their own now, or an alias that stands for one."""
        contents = await store.names_of_rooms(self._memory.reader(), [r.key for r in rooms])
        named = {key for key, content in contents if names_its_room(content)}
        return {room for room in rooms if room.key in named}

    async def heroes(
        self, rooms: Sequence[Room], but: UserId, limit: int
    ) -> dict[Room, list[UserId]]:
        """The first members of each room beside one person."""
        by_key = await store.heroes_of_rooms(
            self._memory.reader(), [r.key for r in rooms], but, limit
        )
        return {room: by_key[room.key] for room in rooms}

    async def entries_that_concern_devices(self, span: Span) -> list[Entry]:
        """Device notes, member events and the beginning of encryption within a span, in order."""
        held = self._memory.tail(span.room.stream).since(span.room.key, span.after, span.up_to)
        if held is not None:
            return [entry for entry in held if not isinstance(entry, Event) or _of_devices(entry)]
        reader = self._memory.reader()
        events: list[Entry] = [
            event
            for event in await store.state_between(reader, span.room.key, span.after, span.up_to)
            if _of_devices(event)
        ]
        notes = await store.notes_between(reader, span.room.key, span.after, span.up_to)
        return sorted([*events, *notes], key=lambda entry: entry.position)

    async def pointers(self, reader: Reader, user_id: UserId) -> list[Pointer]:
        """All of a person's memberships, as their own stream has them."""
        return await store.pointers_of(reader, user_id)

    async def stripped_states(
        self, places: Mapping[Room, int], user_id: UserId
    ) -> dict[Room, list[Event]]:
        """What an invited or knocking person is told of each room, as it stood at a position, in
        a number of statements that doesn't grow with the number of rooms.
        """
        found: dict[Room, list[Event]] = {room: [] for room in places}
        rooms = {room.key: room for room in places}
        reader = self._memory.reader()
        for event in await store.states_of_types(reader, list(rooms), STRIPPED_STATE):
            room = rooms[event.key]
            standing = await self._as_of(room, event, places[room])
            if standing is not None:
                found[room].append(standing)
        mine = await self.members_at({room: [user_id] for room in places}, places)
        senders = {
            room: [own.sender for own in events if own.sender != user_id]
            for room, events in mine.items()
        }
        theirs = await self.members_at(senders, places)
        return {room: [*found[room], *mine[room], *theirs[room]] for room in places}

    async def _as_of(self, room: Room, event: Event, place: int) -> Event | None:
        """What stood at a position where this event stands now."""
        if event.position <= place:
            return event
        return await self.state_event(room, event.type, event.state_key or "", place)

    async def dress(self, events_by_room: Sequence[tuple[Room, Sequence[Event]]]) -> None:
        """Adds what lies in other rows: the content that was replaced, the redaction."""
        places: set[tuple[int, int]] = set()
        for room, events in events_by_room:
            for event in events:
                if event.replaces:
                    places.add((room.key, event.replaces))
                if event.redacted_by:
                    places.add((room.key, event.redacted_by))
        if not places:
            return
        found = {
            (event.key, event.position): event
            for event in await store.events_at_places(self._memory.reader(), list(places))
        }
        for room, events in events_by_room:
            for event in events:
                replaced = found.get((room.key, event.replaces))
                if replaced is not None:
                    event.prev_content = replaced.content
                    event.replaces_id = replaced.event_id
                redaction = found.get((room.key, event.redacted_by))
                if redaction is not None:
                    event.because = redaction.base + room_field(room.room_id) + b"}"


def names_its_room(content: bytes) -> bool:
    """Whether the content of a name or of a canonical alias says one."""
    said = orjson.loads(content)
    return any(isinstance(said.get(key), str) and said[key] for key in ("name", "alias"))


def _of_devices(event: Event) -> bool:
    return event.type in ("m.room.member", "m.room.encryption") and event.state_key is not None


def _position(event: Event) -> int:
    return event.position
