"""What people read of rooms by asking: state, members, history, single events.

(1) Every answer is of one moment: the head is captured before it is read what the person may see,
    so that what was written after a ban, however little, is not in it.
(2) A room that the caller may not know of answers as one that isn't there.
(3) State is told to who is in the room, as of now; to who was, as of the end of their last stay;
    to all others only where the world may read.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from msgspec import Struct

from posthouse.accounts import RoomEventFilter
from posthouse.http import Caller
from posthouse.matrix import (
    OPEN,
    EventId,
    HistoryVisibility,
    InvalidParam,
    Membership,
    RoomId,
    UserId,
    clip,
)
from posthouse.rooms.errors import NoSuchEvent, NoSuchState, NotInRoom, UnreadableToken
from posthouse.rooms.history import Page, Walk, page_of, passes
from posthouse.rooms.memory import RoomMemory
from posthouse.rooms.model import Event
from posthouse.rooms.reading import Reading, Sight, Span, as_seen
from posthouse.rooms.room import Room
from posthouse.rooms.wire import render, room_field
from posthouse.std.clock import Clock
from posthouse.streams import (
    RoomStreams,
    RoomToken,
    ServerFacts,
    UserStreams,
    decode_room_token,
    decode_sync_token,
)

PAGE_DEFAULT: Final = 10
PAGE_MAX: Final = 500
_RENDERED_AT_ONCE: Final = 500
"""Events made into text before the loop has its turn: a large room's members are many."""

EVERY_EVENT: Final = RoomEventFilter()


class PageWish(Struct, frozen=True):
    """Which page of a room's history somebody wants."""

    backwards: bool
    start: str | None = None
    """A token of sync or of another page; None for the end that the direction leads away from."""
    stop: str | None = None
    limit: int | None = None
    wanted: RoomEventFilter = EVERY_EVENT


@dataclass(frozen=True, slots=True)
class View:
    """One person before one room, at one moment."""

    room: Room
    head: int
    """Everything up to here was committed; nothing beyond is told."""
    sight: Sight

    def place_of_state(self) -> int:
        """Where the state that the person may know was left. Raises NotInRoom: invariant 3."""
        if self.sight.membership_at(self.head) == Membership.JOIN:
            return self.head
        if self.sight.was_joined_within(0, self.head):
            left = self.sight.left_at(self.head)
            return self.head if left is None else left
        if self.sight.visibility_at(self.head) is HistoryVisibility.WORLD_READABLE:
            return self.head
        raise NotInRoom()

    def tells_state_at(self, position: int) -> bool:
        """Whether the state at an event that the person sees is theirs to know."""
        return (
            self.sight.was_joined_within(0, self.head)
            or self.sight.visibility_at(position) is HistoryVisibility.WORLD_READABLE
        )

    def first_seen_from(self, position: int, bound: int) -> int:
        """The position, or the next one up to a bound that the person sees."""
        for stretch in self.sight.ranges:
            if stretch.last >= position:
                return min(max(stretch.first, position), bound)
        return bound


class RoomViews:
    """The reading verbs of rooms; each answers with JSON as it is sent."""

    def __init__(
        self,
        *,
        facts: ServerFacts,
        memory: RoomMemory,
        reading: Reading,
        room_streams: RoomStreams,
        user_streams: UserStreams,
        clock: Clock,
    ) -> None:
        self._facts = facts
        self._memory = memory
        self._reading = reading
        self._room_streams = room_streams
        self._user_streams = user_streams
        self._clock = clock

    # -- state and members ---------------------------------------------------------------------

    async def state(self, caller: Caller, room_id: RoomId) -> bytes:
        """All of the state, an event for each key."""
        view = await self._view(caller.user_id, room_id)
        place = view.place_of_state()
        events = (await self._reading.states({view.room: place}, members=True))[view.room]
        return b"[%s]" % await self._render_state(view, caller, events)

    async def state_event(
        self, caller: Caller, room_id: RoomId, type_: str, state_key: str, *, whole: bool
    ) -> bytes:
        """The content of one key of the state, or the whole event. Raises NoSuchState."""
        view = await self._view(caller.user_id, room_id)
        event = await self._reading.state_event(view.room, type_, state_key, view.place_of_state())
        if event is None:
            raise NoSuchState()
        if not whole:
            return event.content
        await self._reading.dress([(view.room, [event])])
        return self._render(view, caller, event)

    async def members(
        self,
        caller: Caller,
        room_id: RoomId,
        *,
        at: str | None,
        membership: Membership | None,
        not_membership: Membership | None,
    ) -> bytes:
        """The member events, now or at a token, of those whose membership is asked for."""
        view = await self._view(caller.user_id, room_id)
        place = view.place_of_state()
        if at is not None:
            # The token of a first sync may lie before the own join, where nothing may be seen.
            place = view.first_seen_from(min(self._position(at, view), place), place)
        events = await self._reading.all_members(view.room, place)
        if membership is not None or not_membership is not None:
            events = [e for e in events if _is_asked_for(e, membership, not_membership)]
        return b'{"chunk":[%s]}' % await self._render_state(view, caller, events)

    async def joined_members(self, caller: Caller, room_id: RoomId) -> dict[UserId, dict[str, str]]:
        """Who is in the room now, by which names and pictures."""
        view = await self._view(caller.user_id, room_id)
        if view.sight.membership_at(view.head) != Membership.JOIN:
            raise NotInRoom()
        joined = {}
        for event in await self._reading.all_members(view.room, view.head):
            content = orjson.loads(event.content)
            if content.get("membership") == Membership.JOIN:
                joined[UserId(event.state_key or "")] = _name_and_picture(content)
        return joined

    async def joined_rooms(self, user_id: UserId) -> list[RoomId]:
        """The rooms that the person is in."""
        pointers = await self._reading.pointers(self._user_streams.reader(), user_id)
        return [pointer.room_id for pointer in pointers if pointer.membership == Membership.JOIN]

    async def mutual_rooms(
        self, user_id: UserId, other: UserId, *, after: str, limit: int
    ) -> tuple[list[RoomId], int]:
        """The rooms that both are in, in the order of their ids: those after an id, and how many
        there are in all.
        """
        shared = sorted(set(await self.joined_rooms(user_id)) & set(await self.joined_rooms(other)))
        return [room_id for room_id in shared if room_id > after][:limit], len(shared)

    async def check_knows_state_now(self, user_id: UserId, room_id: RoomId) -> None:
        """Raises NotInRoom for who isn't in the room, unless the world may read it."""
        view = await self._view(user_id, room_id)
        if (
            view.sight.membership_at(view.head) != Membership.JOIN
            and view.sight.visibility_at(view.head) is not HistoryVisibility.WORLD_READABLE
        ):
            raise NotInRoom()

    # -- history -------------------------------------------------------------------------------

    async def messages(self, caller: Caller, room_id: RoomId, wish: PageWish) -> bytes:
        """A page of the history that the person sees."""
        view = await self._view(caller.user_id, room_id)
        if not view.sight.ranges:
            raise NotInRoom()
        start = view.head if wish.backwards else 0
        if wish.start is not None:
            start = self._position(wish.start, view)
        stop = 0 if wish.backwards else view.head
        if wish.stop is not None:
            stop = self._position(wish.stop, view)
        page = await page_of(
            self._reading,
            Walk(
                view.room,
                view.sight,
                after=stop if wish.backwards else start,
                up_to=start if wish.backwards else stop,
                backwards=wish.backwards,
                wanted=wish.wanted,
            ),
            _page_size(wish.limit, wish.wanted),
        )
        await self._reading.dress([(view.room, page.events)])
        chunk = await self._render_many(view, caller, page.events)
        parts = [
            b'"start":' + orjson.dumps(wish.start or self._token(start)),
            b'"chunk":[%s]' % chunk,
        ]
        if page.reached is not None:
            parts.append(b'"end":' + orjson.dumps(self._token(page.reached)))
        if wish.wanted.lazy_load_members and page.events:
            members = await self._members_for(view, page.events)
            parts.append(b'"state":[%s]' % await self._render_many(view, caller, members))
        return b"{%s}" % b",".join(parts)

    async def event(self, caller: Caller, room_id: RoomId, event_id: EventId) -> bytes:
        """One event. Raises NoSuchEvent, whether it is not there or may not be seen."""
        view, event = await self._seen_event(caller, room_id, event_id)
        await self._reading.dress([(view.room, [event])])
        return self._render(view, caller, event)

    async def event_at_time(
        self, caller: Caller, room_id: RoomId, ts: int, *, backwards: bool
    ) -> tuple[EventId, int]:
        """The nearest event that the person sees, at a time or on one side of it, and its time.
        Raises NoSuchEvent where there is none.
        """
        view = await self._view(caller.user_id, room_id)
        if not view.sight.ranges:
            raise NotInRoom()
        # Events of the very time count for both ways, and backwards the last of them.
        sought = ts + 1 if backwards else ts
        at = await self._reading.first_at_time(view.room, sought, view.head)
        first, last = (0, at - 1) if backwards else (at, view.head)
        stretches = clip(view.sight.ranges, first, last)
        for stretch in reversed(stretches) if backwards else stretches:
            span = Span(view.room, stretch.first - 1, stretch.last)
            for event in await self._reading.stretch(span, 1, backwards=backwards):
                return event.event_id, event.ts
        raise NoSuchEvent()

    async def check_sees_as_member(
        self, caller: Caller, room_id: RoomId, event_id: EventId
    ) -> UserId:
        """Who sent an event; raises NoSuchEvent unless the caller is in the room and sees it."""
        view, event = await self._seen_event(caller, room_id, event_id)
        if view.sight.membership_at(view.head) != Membership.JOIN:
            raise NoSuchEvent()
        return event.sender

    async def context(
        self,
        caller: Caller,
        room_id: RoomId,
        event_id: EventId,
        limit: int | None,
        wanted: RoomEventFilter,
    ) -> bytes:
        """One event, what stands before and after it, and the state at the last of them."""
        view, event = await self._seen_event(caller, room_id, event_id)
        size = _page_size(limit, wanted)
        before = await self._beside(view, event, size // 2, wanted, backwards=True)
        after = await self._beside(view, event, size - size // 2, wanted, backwards=False)
        shown = [*reversed(before.events), event, *after.events]
        await self._reading.dress([(view.room, shown)])
        state = await self._state_around(view, shown, wanted)
        return (
            b'{"start":"%s","end":"%s","event":%s,"events_before":[%s],"events_after":[%s],'
            b'"state":[%s]}'
            % (
                self._token(_edge(before, event, backwards=True)).encode(),
                self._token(_edge(after, event, backwards=False)).encode(),
                self._render(view, caller, event),
                await self._render_many(view, caller, before.events),
                await self._render_many(view, caller, after.events),
                await self._render_many(view, caller, state),
            )
        )

    async def _beside(
        self, view: View, event: Event, size: int, wanted: RoomEventFilter, *, backwards: bool
    ) -> Page:
        after, up_to = (0, event.position - 1) if backwards else (event.position, view.head)
        walk = Walk(view.room, view.sight, after, up_to, backwards, wanted)
        return await page_of(self._reading, walk, size)

    async def _state_around(
        self, view: View, shown: Sequence[Event], wanted: RoomEventFilter
    ) -> list[Event]:
        """The state at the last of some events, as far as it is the person's to know."""
        place = shown[-1].position
        if not view.tells_state_at(place):
            return []
        lazily = wanted.lazy_load_members
        states = await self._reading.states({view.room: place}, members=not lazily)
        state = [event for event in states[view.room] if passes(wanted, view.room, event)]
        return [*state, *await self._members_for(view, shown)] if lazily else state

    async def _members_for(self, view: View, events: Sequence[Event]) -> list[Event]:
        """The member events of those who sent some events, as of the newest of these."""
        senders = {event.sender for event in events}
        place = max(event.position for event in events)
        members = await self._reading.members_at({view.room: senders}, {view.room: place})
        return members[view.room]

    # -- inside --------------------------------------------------------------------------------

    async def _view(self, user_id: UserId, room_id: RoomId) -> View:
        """The gate of everything that reads. Raises NotInRoom where there is no such room."""
        room = await self._memory.get(room_id)
        if room is None:
            raise NotInRoom()
        head = self._room_streams.head(room.stream)  # before the sight: invariant 1
        sight = await self._reading.sight(room, user_id)
        if sight.memberships and sight.memberships[-1][1] in (Membership.LEAVE, Membership.BAN):
            pointer = await self._reading.pointer(self._user_streams.reader(), user_id, room_id)
            if pointer is not None and pointer.forgotten:
                sight = sight.of_a_stranger()
        return View(room, head, sight)

    async def _seen_event(
        self, caller: Caller, room_id: RoomId, event_id: EventId
    ) -> tuple[View, Event]:
        try:
            view = await self._view(caller.user_id, room_id)
        except NotInRoom:
            raise NoSuchEvent() from None
        event = await self._reading.event(view.room, event_id)
        if event is None or event.position > view.head or not view.sight.sees(event.position):
            raise NoSuchEvent()
        return view, event

    def _position(self, text: str, view: View) -> int:
        """The place that a token names, within the room's log.

        A token of another generation is taken too: what this copy of the data has at and before
        its positions is what the other had, and the positions that were lost stay empty, so that
        nothing is repeated or passed over.
        """
        found = decode_room_token(text)
        if found is not None:
            position = found.position
        else:
            try:
                token = decode_sync_token(text).at_level(
                    self._facts.rooms.level, self._facts.users.level
                )
            except InvalidParam:
                raise UnreadableToken() from None
            position = token.rooms[self._facts.rooms.index_of(view.room.stream)]
        return max(0, min(position, view.head, OPEN))

    def _token(self, position: int) -> str:
        return RoomToken(self._facts.generation, position).encode()

    def _render(self, view: View, caller: Caller, event: Event) -> bytes:
        return render(
            as_seen(event, view.sight, caller.user_id),
            now_ms=self._clock.now_ms(),
            room=room_field(view.room.room_id),
            device=(caller.user_id, caller.device_id),
            membership=view.sight.membership_at(event.position),
        )

    async def _render_state(self, view: View, caller: Caller, events: Sequence[Event]) -> bytes:
        """Whole states go without what each event replaced, but not without their redactions."""
        await self._reading.dress([(view.room, [e for e in events if e.redacted_by])])
        return await self._render_many(view, caller, events)

    async def _render_many(self, view: View, caller: Caller, events: Sequence[Event]) -> bytes:
        texts: list[bytes] = []
        for first in range(0, len(events), _RENDERED_AT_ONCE):
            if first:
                await asyncio.sleep(0)
            some = events[first : first + _RENDERED_AT_ONCE]
            texts += [self._render(view, caller, event) for event in some]
        return b",".join(texts)


def _edge(page: Page, event: Event, *, backwards: bool) -> int:
    """The place where a page beside an event ends."""
    if page.reached is not None:
        return page.reached
    last = page.events[-1] if page.events else event
    return last.position - 1 if backwards else last.position


def _page_size(limit: int | None, wanted: RoomEventFilter) -> int:
    sizes = [size for size in (limit, wanted.limit) if size is not None]
    return min([*sizes, PAGE_MAX]) if sizes else PAGE_DEFAULT


def _is_asked_for(
    event: Event, membership: Membership | None, not_membership: Membership | None
) -> bool:
    """Where both are given, either is enough."""
    own = event.membership
    if membership is not None and own == membership:
        return True
    return not_membership is not None and own != not_membership


def _name_and_picture(content: dict[str, Any]) -> dict[str, str]:
    """As `/joined_members` spells them, where they are text."""
    given = {"display_name": content.get("displayname"), "avatar_url": content.get("avatar_url")}
    return {key: value for key, value in given.items() if isinstance(value, str)}
