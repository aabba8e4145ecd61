"""Building one answer of `/v3/sync` from storage: first syncs, gaps, comings and goings.

The live path (`fragments`) answers most polls without coming here. Everything is read for one cut,
in a number of statements that doesn't grow with the number of rooms.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from posthouse.accounts import GLOBAL_DATA, AccountDatum, Accounts, Filter, includes_room, matches
from posthouse.devices import Devices, ToDevice
from posthouse.http import Caller
from posthouse.matrix import RoomId, UserId
from posthouse.rooms import (
    Event,
    Pointer,
    Reading,
    Room,
    RoomMemory,
    Sight,
    Span,
    TypingNotices,
    as_seen,
    blocks_invites,
    names_its_room,
    render,
    render_stripped,
)
from posthouse.streams import RoomToken, StreamMap, SyncToken, UserStreams
from posthouse.sync.cut import Cut
from posthouse.sync.device_lists import DeviceListReader, DeviceLists, Stretch
from posthouse.sync.fragments import shows, shows_state, takes_away
from posthouse.sync.home import Home

TIMELINE_LIMIT_DEFAULT: Final = 20
TIMELINE_LIMIT_MAX: Final = 500
TO_DEVICE_MAX: Final = 100
HEROES: Final = 5
_NAMES: Final = ("m.room.name", "m.room.canonical_alias")
_SUMMARISED: Final = (*_NAMES, "m.room.member")
SECTIONS_PER_SLICE: Final = 50
"""Rooms after which a long answer lets others have their turn of the loop."""

_WIDER: Final = 5
"""How many times the limit is read where a filter will take some away."""


@dataclass(slots=True)
class Section:
    """One room of the answer while it is put together."""

    room: Room
    span: Span
    membership: str
    before: str
    """The own membership where the client's token stands; `leave` where it has none."""
    is_whole: bool
    """Whether the client knows nothing of the room yet, or asked for everything."""
    sight: Sight | None
    timeline: list[Event] = field(default_factory=list)
    limited: bool = False
    state: list[Event] = field(default_factory=list)
    summary: dict[str, object] = field(default_factory=dict)
    is_told_anew: bool = False
    """Whether something happened that may change the summary."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell: the filter let nothing through."""
        return not (self.is_whole or self.limited or self.timeline or self.state or self.summary)

    @property
    def is_mere_notice(self) -> bool:
        """Whether the person was never in the room as far as the answer goes: all that they learn
        is what became of their own membership.
        """
        return (
            self.membership != "join"
            and self.sight is not None
            and not self.sight.was_joined_within(self.span.after, self.span.up_to)
        )

    @property
    def start(self) -> int:
        """The position where the timeline begins."""
        return self.timeline[0].position if self.timeline else self.span.up_to + 1


@dataclass(frozen=True, slots=True)
class Choice:
    """The rooms of an answer."""

    sections: list[Section] = field(default_factory=list)
    invites: list[tuple[Room, str]] = field(default_factory=list)
    """And knocks; each with which of the two it is."""
    stretches: list[Stretch] = field(default_factory=list)
    """Where devices may have changed: no filter of rooms hides that."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent, and whether it tells anything."""

    body: bytes
    has_news: bool
    carries_to_device: bool


class Assembler:
    """Reads and puts together."""

    def __init__(
        self,
        *,
        memory: RoomMemory,
        reading: Reading,
        typing: TypingNotices,
        accounts: Accounts,
        devices: Devices,
        to_device: ToDevice,
        device_lists: DeviceListReader,
        user_streams: UserStreams,
        rooms: StreamMap,
    ) -> None:
        self._memory = memory
        self._reading = reading
        self._typing = typing
        self._accounts = accounts
        self._devices = devices
        self._to_device = to_device
        self._device_lists = device_lists
        self._user_streams = user_streams
        self._rooms = rooms

    async def assemble(
        self,
        home: Home,
        caller: Caller,
        since: SyncToken | None,
        start: SyncToken,
        cut: Cut,
        wanted: Filter,
        *,
        full_state: bool,
        state_after: bytes | None,
        now_ms: int,
    ) -> Answer:
        """`start` is `since`, or the token of nothing for a first sync. Begins in the turn in which
        the cut was captured: which rooms the person is in, and what changed there, is of the cut,
        whatever the home learns while this reads.
        """
        joined = home.rooms
        live = home.changed_since(since.rooms, self._rooms.count) if since is not None else ()
        pointers = {
            pointer.room_id: pointer
            for pointer in await self._pointers(home, since, cut, full_state=full_state)
        }
        chosen = await self._choose(
            joined, live, caller.user_id, since, cut, wanted, pointers, full_state=full_state
        )
        sections = chosen.sections
        await self._fill_timelines(sections, caller.user_id, wanted)
        await _give_way(sections)
        await self._fill_state(sections, caller.user_id, wanted, state_after)
        await _give_way(sections)
        lists = await self._lists(joined, caller.user_id, since, cut, chosen.stretches)
        data = await self._account_data(caller.user_id, start, cut, sections)
        messages, reached = await self._to_device.to_device_since(
            caller.user_id, caller.device_id, start.to_device, cut.user, TO_DEVICE_MAX
        )
        counts = await self._devices.key_counts(caller.user_id, caller.device_id)
        token = cut.token(start, to_device=reached)
        parts = [b'{"next_batch":"%s"' % token.encode().encode()]
        await _give_way(sections)
        rooms = await self._render_rooms(
            joined, caller, start, wanted, sections, data, state_after, now_ms
        )
        invites = await self._welcome(caller.user_id, chosen.invites)
        if invites:
            rooms |= await self._render_invites(invites, caller.user_id, cut)
        if rooms:
            parts.append(
                b',"rooms":{%s}'
                % b",".join(b'"%s":{%s}' % (k.encode(), b",".join(v)) for k, v in rooms.items())
            )
        global_data = [
            _account_datum(datum)
            for datum in data
            if datum.room_id == GLOBAL_DATA
            and matches(wanted.account_data, event_type=datum.type, sender=caller.user_id)
        ]
        if global_data:
            parts.append(b',"account_data":{"events":[%s]}' % b",".join(global_data))
        if messages:
            parts.append(b',"to_device":{"events":[%s]}' % b",".join(messages))
        if lists.changed or lists.left:
            parts.append(
                b',"device_lists":'
                + orjson.dumps({"changed": sorted(lists.changed), "left": sorted(lists.left)})
            )
        has_news = len(parts) > 1
        parts += (b",", counts.fragment, b"}")
        return Answer(b"".join(parts), has_news, bool(messages))

    async def _welcome(
        self, user_id: UserId, invites: Sequence[tuple[Room, str]]
    ) -> Sequence[tuple[Room, str]]:
        """Those of the invites and knocks that the person wants to hear of."""
        is_invited = any(membership == "invite" for _, membership in invites)
        if not is_invited or not await blocks_invites(self._accounts, user_id):
            return invites
        return [told for told in invites if told[1] != "invite"]

    # -- which rooms ---------------------------------------------------------------------------

    async def _pointers(
        self, home: Home, since: SyncToken | None, cut: Cut, *, full_state: bool
    ) -> Sequence[Pointer]:
        if since is not None and not full_state and home.user_position <= since.user:
            return ()
        return await self._reading.pointers(self._user_streams.reader(), home.user_id)

    async def _choose(
        self,
        joined: Mapping[RoomId, tuple[Room, int]],
        live: Sequence[Room],
        user_id: UserId,
        since: SyncToken | None,
        cut: Cut,
        wanted: Filter,
        pointers: Mapping[RoomId, Pointer],
        *,
        full_state: bool,
    ) -> Choice:
        """The rooms that the answer tells of."""
        moved: dict[RoomId, None] = {}
        for pointer in pointers.values():
            if since is None or full_state or pointer.position > since.user:
                if since is None and not _worth_a_first_look(pointer, wanted):
                    continue
                moved[pointer.room_id] = None
        chosen = Choice()
        steady: list[Section] = []
        for room in live:
            assert since is not None, "a first sync looks at every room"
            index = self._rooms.index_of(room.stream)
            span = Span(room, since.rooms[index], cut.rooms[index])
            if span.up_to <= span.after:
                continue
            if joined[room.room_id][1] > span.after:
                # The own membership was changed since, or is about to be: seen by the log alone.
                moved[room.room_id] = None
            elif room.room_id not in moved:
                chosen.stretches.append(Stretch(span, True, True))
                if includes_room(wanted.room, room.room_id):
                    steady.append(Section(room, span, "join", "join", False, None))
        rooms = await self._memory.get_many(list(moved))
        sights = await self._reading.sights(list(rooms.values()), user_id) if rooms else {}
        for room, sight in sights.items():
            index = self._rooms.index_of(room.stream)
            after, up_to = since.rooms[index] if since else 0, cut.rooms[index]
            now = sight.membership_at(up_to)
            before = sight.membership_at(after) if since else "leave"
            changed = since is None or any(after < at <= up_to for at, _ in sight.memberships)
            end = up_to
            if now != "join" and (left := sight.left_at(up_to)) is not None:
                end = left  # even where the world may read on: what the person is told ends here
            stretch = Stretch(Span(room, after, end), before == "join", now == "join")
            chosen.stretches.append(stretch)
            if not includes_room(wanted.room, room.room_id):
                continue
            if now in ("invite", "knock"):
                if changed or full_state:
                    chosen.invites.append((room, now))
                continue
            own = pointers.get(room.room_id)
            if now in ("leave", "ban") and own is not None and own.forgotten:
                if changed:
                    # Another device still has the room: it learns that it was left, and no more.
                    span = Span(room, after, up_to)
                    unseen = sight.of_a_stranger()
                    chosen.sections.append(Section(room, span, now, before, False, unseen))
                continue
            if now in ("leave", "ban") and not (
                changed or (full_state and wanted.room.include_leave)
            ):
                continue
            if now != "join" and not sight.was_joined_within(after, up_to):
                # A rejected invite, a ban after leaving: the person learns of that and no more.
                notice = Section(room, Span(room, after, up_to), now, before, False, sight)
                chosen.sections.append(notice)
                continue
            is_whole = before != "join" or (full_state and now == "join")
            if now == "join" and not is_whole and room.position <= after:
                continue
            span = Span(room, after if before == "join" else 0, end)
            chosen.sections.append(Section(room, span, now, before, is_whole, sight))
        chosen.sections.extend(steady)
        return chosen

    # -- timelines and state -------------------------------------------------------------------

    async def _fill_timelines(
        self, sections: Sequence[Section], user_id: UserId, wanted: Filter
    ) -> None:
        limit = wanted.room.timeline.limit
        limit = TIMELINE_LIMIT_DEFAULT if limit is None else min(limit, TIMELINE_LIMIT_MAX)
        width = limit * _WIDER if takes_away(wanted.room.timeline) else limit
        found = await self._reading.timelines([s.span for s in sections], width + 1)
        for section in sections:
            if section.is_mere_notice:
                room, up_to = section.room, section.span.up_to
                own = await self._reading.members_at({room: [user_id]}, {room: up_to})
                section.timeline = own[room]
                continue
            events = found[section.room]
            more = len(events) > width
            events = events[-width:] if width else []
            begin = _after_the_last_gap(section, events)
            # What the client doesn't learn from the timeline it learns from the state before it.
            gap = any(_seen(section, e) for e in events[:begin]) if section.is_whole else begin > 0
            shown = [e for e in events[begin:] if shows(wanted.room, e, section.room.room_id)]
            section.is_told_anew = any(event.type in _SUMMARISED for event in events)
            section.limited = more or gap or len(shown) > limit
            section.timeline = shown[-limit:] if limit else []

    async def _fill_state(
        self,
        sections: Sequence[Section],
        user_id: UserId,
        wanted: Filter,
        state_after: bytes | None,
    ) -> None:
        lazy = wanted.room.state.lazy_load_members
        whole = {s.room: s.span.up_to for s in sections if s.is_whole}
        states = await self._reading.states(whole, members=not lazy) if whole else {}
        heroes = await self._fill_summaries(sections, states, user_id) if lazy else {}
        places: dict[Room, int] = {}
        wanted_members: dict[Room, set[str]] = {}
        for section in sections:
            room, end = section.room, section.span.up_to
            before = end if state_after is not None else min(section.start - 1, end)
            if section.is_mere_notice:
                continue
            if section.is_whole:
                section.state = states[room]
                if state_after is None:
                    section.state = await self._reading.roll_back(
                        room, section.state, section.start
                    )
            elif section.limited or (state_after is not None):
                section.state = await self._reading.state_between(
                    Span(room, section.span.after, before)
                )
            if lazy:
                people = {*heroes.get(room, ()), *(event.sender for event in section.timeline)}
                if section.is_whole:
                    people.add(user_id)
                told = {e.state_key for e in section.state if e.type == "m.room.member"}
                wanted_members[room] = {p for p in people if p not in told}
                places[room] = before
        if lazy and any(wanted_members.values()):
            members = await self._reading.members_at(wanted_members, places)
            for section in sections:
                section.state = [*section.state, *members.get(section.room, ())]
        for section in sections:
            section.state = [
                event
                for event in section.state
                if shows_state(wanted.room, event, section.room.room_id)
            ]

    async def _fill_summaries(
        self, sections: Sequence[Section], states: Mapping[Room, Sequence[Event]], user_id: UserId
    ) -> Mapping[Room, Sequence[UserId]]:
        """Counts, and who is in a room without a name, where that may have changed.

        Returns these heroes: their member events belong to the answer. `states` are those of whole
        sections.
        """
        told = [
            section
            for section in sections
            if section.membership == "join"
            and (section.is_whole or section.limited or section.is_told_anew)
        ]
        if not told:
            return {}
        rooms = [section.room for section in told]
        counts = await self._reading.counts(rooms)
        named = {room for room, state in states.items() if any(map(_names_its_room, state))}
        others = [room for room in rooms if room not in states]
        if others:
            named |= await self._reading.named(others)
        nameless = [room for room in rooms if room not in named]
        heroes = await self._reading.heroes(nameless, user_id, HEROES) if nameless else {}
        for section in told:
            joined, invited = counts[section.room]
            section.summary = {
                "m.joined_member_count": joined,
                "m.invited_member_count": invited,
            }
            if section.room in heroes:
                section.summary["m.heroes"] = heroes[section.room]
        return heroes

    async def _account_data(
        self, user_id: UserId, start: SyncToken, cut: Cut, sections: Sequence[Section]
    ) -> list[AccountDatum]:
        """What changed, and all that is stored about rooms that the client knew nothing of."""
        data = await self._accounts.account_data_since(user_id, start.user, cut.user)
        entered = {
            section.room.room_id
            for section in sections
            if start.user and section.is_whole and section.before != "join"
        }
        if not entered:
            return data
        known = [datum for datum in data if datum.room_id not in entered]
        return known + await self._accounts.account_data_of_rooms(
            user_id, sorted(entered), cut.user
        )

    async def _lists(
        self,
        joined: Mapping[RoomId, tuple[Room, int]],
        user_id: UserId,
        since: SyncToken | None,
        cut: Cut,
        stretches: Sequence[Stretch],
    ) -> DeviceLists:
        """A first sync tells nothing: the client asks for whom it needs."""
        if since is None:
            return DeviceLists()
        lists = await self._device_lists.between(user_id, stretches, joined)
        lists.changed |= await self._devices.own_device_changes(user_id, since.user, cut.user)
        lists.left -= lists.changed
        return lists

    # -- as text -------------------------------------------------------------------------------

    async def _render_rooms(
        self,
        joined: Mapping[RoomId, tuple[Room, int]],
        caller: Caller,
        start: SyncToken,
        wanted: Filter,
        sections: Sequence[Section],
        data: Sequence[AccountDatum],
        state_after: bytes | None,
        now_ms: int,
    ) -> dict[str, list[bytes]]:
        data_of: dict[RoomId, list[bytes]] = {}
        for datum in data:
            if datum.room_id != GLOBAL_DATA and matches(
                wanted.room.account_data,
                event_type=datum.type,
                sender=caller.user_id,
                room_id=datum.room_id,
            ):
                data_of.setdefault(datum.room_id, []).append(_account_datum(datum))
        texts: dict[str, list[bytes]] = {}
        told: set[RoomId] = set()
        for number, section in enumerate(sections, start=1):
            if number % SECTIONS_PER_SLICE == 0:
                await asyncio.sleep(0)
            room_id = section.room.room_id
            told.add(room_id)
            text = self._render_section(section, caller, start, state_after, now_ms)
            if section.membership == "join":
                extras = self.extras(room_id, start, wanted, data_of.get(room_id))
                if section.is_empty and not extras:
                    continue
                text += extras
                texts.setdefault("join", []).append(text + b"}")
            else:
                if room_id in data_of:
                    text += b',"account_data":{"events":[%s]}' % b",".join(data_of[room_id])
                texts.setdefault("leave", []).append(text + b"}")
        # Rooms in which nothing was written, but somebody types or the person kept a note.
        for room_id in joined:
            if room_id in told or not includes_room(wanted.room, room_id):
                continue
            extras = self.extras(room_id, start, wanted, data_of.get(room_id))
            if extras:
                texts.setdefault("join", []).append(
                    orjson.dumps(room_id) + b":{" + extras[1:] + b"}"
                )
        return texts

    def extras(
        self,
        room_id: RoomId,
        start: SyncToken,
        wanted: Filter,
        data: Sequence[bytes] | None,
    ) -> bytes:
        """A joined room's typing list and account data, each with a comma before it."""
        text = b""
        if self._typing.serial_of(room_id) > start.serial and matches(
            wanted.room.ephemeral, event_type="m.typing", sender="", room_id=room_id
        ):
            content = orjson.dumps({"user_ids": self._typing.typists(room_id)})
            text = b',"ephemeral":{"events":[{"content":%s,"type":"m.typing"}]}' % content
        if data:
            text += b',"account_data":{"events":[%s]}' % b",".join(data)
        return text

    def _render_section(
        self,
        section: Section,
        caller: Caller,
        start: SyncToken,
        state_after: bytes | None,
        now_ms: int,
    ) -> bytes:
        device = (caller.user_id, caller.device_id)
        timeline = b",".join(
            render(
                as_seen(event, section.sight, caller.user_id) if section.sight else event,
                now_ms=now_ms,
                device=device,
                membership=section.sight.membership_at(event.position) if section.sight else "join",
            )
            for event in section.timeline
        )
        previous = RoomToken(start.generation, section.start - 1).encode()
        text = (
            b'%s:{"timeline":{"events":[%s],"limited":%s,"prev_batch":"%s"},"%s":{"events":[%s]}'
            % (
                orjson.dumps(section.room.room_id),
                timeline,
                b"true" if section.limited else b"false",
                previous.encode(),
                state_after or b"state",
                b",".join(render(event, now_ms=now_ms) for event in section.state),
            )
        )
        if section.summary:
            text += b',"summary":' + orjson.dumps(section.summary)
        return text

    async def _render_invites(
        self, invites: Sequence[tuple[Room, str]], user_id: UserId, cut: Cut
    ) -> dict[str, list[bytes]]:
        """Invites and knocks, each under its name."""
        places = {room: cut.rooms[self._rooms.index_of(room.stream)] for room, _ in invites}
        states = await self._reading.stripped_states(places, user_id)
        texts: dict[str, list[bytes]] = {}
        for room, membership in invites:
            text = b'%s:{"%s":{"events":[%s]}}' % (
                orjson.dumps(room.room_id),
                b"invite_state" if membership == "invite" else b"knock_state",
                b",".join(render_stripped(event) for event in states[room]),
            )
            texts.setdefault(membership, []).append(text)
        return texts


def _names_its_room(event: Event) -> bool:
    return event.type in _NAMES and event.state_key == "" and names_its_room(event.content)


async def _give_way(sections: Sequence[Section]) -> None:
    """Between the steps of a long answer: on SQLite nothing in them waits."""
    if len(sections) >= SECTIONS_PER_SLICE:
        await asyncio.sleep(0)


def _worth_a_first_look(pointer: Pointer, wanted: Filter) -> bool:
    """Rooms that were left are told of in a first sync only when they are asked for."""
    if pointer.membership in ("leave", "ban"):
        return wanted.room.include_leave and not pointer.forgotten
    return True


def _after_the_last_gap(section: Section, events: Sequence[Event]) -> int:
    """Where the newest run of events begins that the person sees all of. A timeline with a gap in
    it would keep from the client how the state changed there.
    """
    for index in range(len(events) - 1, -1, -1):
        if not _seen(section, events[index]):
            return index + 1
    return 0


def _seen(section: Section, event: Event) -> bool:
    return section.sight is None or section.sight.sees(event.position)


def _account_datum(datum: AccountDatum) -> bytes:
    return b'{"content":%s,"type":%s}' % (datum.content, orjson.dumps(datum.type))
