"""One device before the server: asks, and compares every answer with the model."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote

import orjson

from tests.model.model import MARK, MEMBER, Event, Json, Key, Model, Moment, Room
from tests.world import V3, Device

_KINDS: Final = ("join", "invite", "knock", "leave")


@dataclass(frozen=True)
class Wish:
    """How a device syncs."""

    limit: int = 20
    lazy: bool = False
    only_messages: bool = False
    state_after: bool = False
    full_state: bool = False
    include_leave: bool = False
    page: int = 100
    """Events that it takes at once when it pages back."""

    def query(self) -> Json:
        timeline: Json = {"limit": self.limit}
        if self.only_messages:
            timeline["types"] = ["m.room.message"]
        room = {
            "timeline": timeline,
            "state": {"lazy_load_members": self.lazy},
            "include_leave": self.include_leave,
        }
        query: Json = {"filter": orjson.dumps({"room": room}).decode()}
        if self.full_state:
            query["full_state"] = "true"
        if self.state_after:
            query["use_state_after"] = "true"
        return query

    @property
    def hides_state(self) -> bool:
        """Whether the timeline's filter keeps changes of the state from the client."""
        return self.only_messages and not self.state_after

    def shows(self, event: Event) -> bool:
        return not self.only_messages or event.type == "m.room.message"


@dataclass(frozen=True)
class RoomView:
    """What a client has put together of a room it is in."""

    state: Mapping[Key, Event]
    whole: bool
    """Whether it has every key, members included."""
    exact: bool = True
    """Whether nothing was hidden from it by a filter of the timeline."""
    joined: int | None = None


@dataclass(frozen=True)
class Token:
    """A token, the moment it stands for, and the rooms as its client knew them then."""

    text: str
    at: Moment
    rooms: Mapping[str, RoomView]
    device_id: str
    """Whom it was given to."""


@dataclass
class Reader:
    """A device; what it was told is in its tokens, the newest last."""

    model: Model
    device: Device
    tokens: list[Token] = field(default_factory=list)

    @property
    def user(self) -> str:
        return self.device.user_id

    async def asks(
        self, method: str, path: str, body: Json | None = None, **query: Any
    ) -> tuple[int, Json]:
        """One request; whatever the answer is, nothing in it is for somebody else."""
        status, answer = await self.fetches(method, path, body, **query)
        self.check_nothing_leaks(answer)
        return status, answer

    async def fetches(
        self, method: str, path: str, body: Json | None = None, **query: Any
    ) -> tuple[int, Json]:
        """One request whose answer may tell of what the model hasn't heard of yet."""
        status, answer = await self.device.world.request(
            method, f"{V3}{path}", body, token=self.device.token, **query
        )
        assert status < 500, f"{method} {path}: {answer}"
        return status, answer

    def check_nothing_leaks(self, answer: Json) -> None:
        marks = set(MARK.findall(orjson.dumps(answer).decode()))
        leaked = marks - self.model.marks_for(self.user, self.device.device_id)
        assert not leaked, f"{self.user} was told {leaked} in {answer}"
        for told in _events_in(answer):
            event = self.model.by_id.get(told["event_id"])
            assert event is None or event in event.room.known(self.user), f"leaked: {event}"

    # -- history -------------------------------------------------------------------------------

    async def pages(self, room: Room, start: str | None, wish: Wish, *, way: str) -> list[Event]:
        """Everything from a token to the end of the history, in the order of the way."""
        events: list[Event] = []
        wanted: Json = {"lazy_load_members": wish.lazy}
        if wish.only_messages:
            wanted["types"] = ["m.room.message"]
        while True:
            status, page = await self.asks(
                "GET",
                f"/rooms/{quote(room.room_id)}/messages",
                dir=way,
                from_=start,
                limit=wish.page,
                filter=orjson.dumps(wanted).decode(),
            )
            assert status == 200, page
            told = [self._event(room, event) for event in page["chunk"]]
            state = room.state(max((e.index for e in told), default=-1) + 1)
            for member in self.model.told(room, page.get("state", ())):
                assert state[member.key] is member, f"not as it stood there: {member}"
            events += told
            if "end" not in page:
                return events
            start = page["end"]

    def _event(self, room: Room, told: Json) -> Event:
        """An event of a timeline, with what goes along with it for this device alone."""
        event = self.model.name(room, told)
        unsigned = told["unsigned"]
        assert unsigned["membership"] == room.membership(self.user, event.index + 1), told
        own = event.txn if event.txn and event.txn[0] == self.device.device_id else None
        assert unsigned.get("transaction_id") == (own[1] if own else None), told
        redaction = event.redacted_by
        if redaction is not None and room.sees(self.user, redaction):
            assert self.model.name(room, unsigned["redacted_because"]) is redaction
        else:
            assert "redacted_because" not in unsigned, told
        return event

    # -- sync ----------------------------------------------------------------------------------

    async def syncs(self, token: Token | None, wish: Wish) -> None:
        since = token.text if token else None
        status, answer = await self.asks("GET", "/sync", since=since, **wish.query())
        assert status == 200, answer
        await self.understands(answer, token, wish, self.model.moment())

    async def understands(self, answer: Json, token: Token | None, wish: Wish, at: Moment) -> None:
        """Compares an answer with what happened between the token and a moment, and keeps it."""
        rooms = answer.get("rooms", {})
        for kind in rooms:
            assert kind in _KINDS
            assert rooms[kind].keys() <= self.model.rooms.keys(), "a room of somebody else"
        views: dict[str, RoomView] = {}
        for room in self.model.rooms.values():
            told = {
                kind: rooms[kind][room.room_id]
                for kind in _KINDS
                if room.room_id in rooms.get(kind, {})
            }
            assert len(told) <= 1, f"{room.room_id} stands in {list(told)}"
            old = token.rooms.get(room.room_id) if token else None
            view = await _Change(self, room, token, old, wish, at).agrees(told)
            if view is not None:
                views[room.room_id] = view
        self._check_mail(answer, token, at)
        self._check_device_lists(answer, token, at)
        self.tokens.append(Token(answer["next_batch"], at, views, self.device.device_id))

    def presents(self, token: Token) -> None:
        """Before a token of this device is used: what it stands for may be deleted from now on."""
        presented = self.model.presented
        device = self.device.device_id
        presented[device] = max(presented[device], token.at.time)

    def _check_mail(self, answer: Json, token: Token | None, at: Moment) -> None:
        """Each message once, in order; gone only what was fetched and presented."""
        events = answer.get("to_device", {}).get("events", [])
        told = [mark for event in events for mark in MARK.findall(event["content"]["body"])]
        # Another device's token says nothing of what this one has fetched.
        own = token is not None and token.device_id == self.device.device_id
        after = token.at.time if token and own else 0
        mail = [(t, m) for t, m in self.model.mail[self.device.device_id] if after < t <= at.time]
        kept_since = self.model.presented[self.device.device_id]
        sure = [mark for time, mark in mail if time > kept_since]
        assert told[len(told) - len(sure) :] == sure, f"{told} should end with {sure}"
        maybe = [mark for time, mark in mail if time <= kept_since]
        more = told[: len(told) - len(sure)]
        assert more == [mark for mark in maybe if mark in more], f"{more} of {maybe}"

    def _check_device_lists(self, answer: Json, token: Token | None, at: Moment) -> None:
        """`left` names whom one no longer has anything to do with; `changed` all who matter."""
        lists = answer.get("device_lists", {})
        changed, left = set(lists.get("changed", ())), set(lists.get("left", ()))
        if token is None:
            assert not changed | left
            return
        before, now = self.model.follows(self.user, token.at), self.model.follows(self.user, at)
        met = self.model.met(self.user, token.at, at)
        new_keys = {
            user for time, user in self.model.key_changes if token.at.time < time <= at.time
        }
        assert not left & now, f"left names {left & now}, whom one still follows"
        assert left <= met, f"left names {left - met}, whom one never met"
        assert before - now <= left, f"left doesn't name {before - now - left}"
        assert changed <= met | {self.user}, f"changed names {changed - met}, whom one never met"
        due = (now - before) | (new_keys & (now | {self.user}))
        assert due <= changed, f"changed doesn't name {due - changed}"


@dataclass(frozen=True)
class _Change:
    """One room between a token and a moment, as one device must be told of it."""

    reader: Reader
    room: Room
    token: Token | None
    old: RoomView | None
    wish: Wish
    at: Moment

    @property
    def first(self) -> int:
        return self.token.at.end(self.room) if self.token else 0

    @property
    def end(self) -> int:
        return self.at.end(self.room)

    async def agrees(self, told: Mapping[str, Json]) -> RoomView | None:
        """Checks one room of an answer; returns the view of a room that one is in."""
        user, room = self.reader.user, self.room
        was = room.membership(user, self.first) if self.token else "leave"
        now = room.membership(user, self.end)
        moved = self.token is not None and bool(room.own(user, self.first, self.end))
        ever = bool(room.own(user, 0, self.end))
        kinds = list(told)
        if now == "join":
            assert kinds in (["join"], []), f"joined, but told as {kinds}"
            return await self._joined(told.get("join"), fresh=was != "join")
        if now == "invite":
            due = moved or self.token is None or self.wish.full_state
            assert kinds == (["invite"] if due else []), f"invited, but told as {kinds}"
            if due:
                self._invited(told["invite"])
            return None
        if not ever:
            assert not kinds, f"a room that isn't theirs is told as {kinds}"
            return None
        again = self.wish.include_leave and (self.token is None or self.wish.full_state)
        due = moved or (again and user not in room.forgotten)
        assert kinds == (["leave"] if due else []), f"{now}, but told as {kinds}"
        if user in room.forgotten and kinds:
            # Another device may have to learn of it still; there is nothing to page back through.
            events = self.reader.model.told(room, told["leave"]["timeline"]["events"])
            assert events in ([], room.own(user, 0, self.end)[-1:]), f"forgotten: {events}"
        elif kinds:
            await self._left(told["leave"], was)
        return None

    async def _joined(self, section: Json | None, *, fresh: bool) -> RoomView:
        first = 0 if fresh else self.first
        expected = self._shown(first, self.end)
        if section is None or "timeline" not in section:
            due = fresh or self.wish.full_state
            assert not due, f"{self.room.room_id} is missing"
            assert self.old is not None
            assert not expected, f"not told: {expected}"
            if self.end == self.first:
                return self.old
            missed = [e for e in self.room.log[self.first : self.end] if e.state_key is not None]
            assert not (missed and self.wish.state_after), f"not in the state: {missed}"
            return replace(self.old, exact=self.old.exact and not self.wish.hides_state)
        timeline = await self._timeline(section, expected, fresh=fresh, end=self.end)
        old = None if fresh or self.wish.full_state else self.old
        view = self._state(section, timeline, old, self.end)
        counted = section.get("summary", {}).get("m.joined_member_count")
        if counted is None and self.old is not None and not fresh and self.wish.lazy:
            counted = self.old.joined  # only who loads members lazily is told of changes
        if counted is not None and self.wish.lazy and not self.wish.only_messages:
            # Counted when the answer is made, which may be after what happened since its cut.
            counts = {len(self.room.joined(end)) for end in range(self.end, len(self.room.log) + 1)}
            assert counted in counts, "the summary's count is wrong"
        return replace(view, joined=counted)

    async def _left(self, section: Json, was: str) -> None:
        user, room = self.reader.user, self.room
        joined = any(e.value == "join" for e in room.own(user, self.first, self.end))
        timeline = section["timeline"]["events"]
        is_theirs = was == "join" or joined
        if user in room.forgotten or (self.token is not None and not is_theirs):
            # They were never in the room as far as this answer goes: it tells of them alone.
            told = self.reader.model.told(room, timeline)
            assert told in ([], room.own(user, 0, self.end)[-1:]), f"more than a notice: {told}"
            assert not section.get("state", {}).get("events")
            return
        if not any(e.value == "join" for e in room.own(user, 0, self.end)):
            return
        end = room.leaving(user, self.end)
        first = self.first if was == "join" else 0
        told = await self._timeline(section, self._shown(first, end), fresh=was != "join", end=end)
        self._state(section, told, self.old if was == "join" else None, end)

    def _invited(self, section: Json) -> None:
        """The stripped state of now, the own invite in it."""
        user, room = self.reader.user, self.room
        state = room.state(self.end)
        told = {(e["type"], e["state_key"]): e for e in section["invite_state"]["events"]}
        assert told[MEMBER, user]["content"]["membership"] == "invite"
        assert ("m.room.create", "") in told
        for key, event in told.items():
            marks = MARK.findall(orjson.dumps(event["content"]).decode())
            whole = MARK.match(state[key].mark) and state[key].redacted_by is None
            assert marks == ([state[key].mark] if whole else []), f"{event} is not {state[key]}"

    def _shown(self, first: int, end: int) -> list[Event]:
        return [e for e in self.room.seen(self.reader.user, first, end) if self.wish.shows(e)]

    async def _timeline(
        self, section: Json, expected: list[Event], *, fresh: bool, end: int
    ) -> list[Event]:
        """The newest of what is expected; all of it, or with a token from which the rest is got."""
        timeline = section["timeline"]
        told = [self.reader._event(self.room, event) for event in timeline["events"]]
        assert told == expected[len(expected) - len(told) :], f"{told} of {expected}"
        assert len(told) <= self.wish.limit
        assert timeline["limited"] or len(told) == len(expected), f"a gap: {told} of {expected}"
        gapless = (
            self.room.seen(self.reader.user, self.first, end) == self.room.log[self.first : end]
        )
        if not fresh and gapless and not self.wish.only_messages:
            assert timeline["limited"] == (len(expected) > self.wish.limit)
        older = await self.reader.pages(self.room, timeline["prev_batch"], self.wish, way="b")
        assert older[::-1] + told == self._shown(0, end), f"{older[::-1]} before {told}"
        return told

    def _state(
        self, section: Json, timeline: list[Event], old: RoomView | None, end: int
    ) -> RoomView:
        """What stands in `state` held there; a client that adds it up has the state at the end."""
        room, wish = self.room, self.wish
        begin = timeline[0].index if timeline else end
        place = room.state(end if wish.state_after else begin)
        told = self.reader.model.told(
            room, section["state_after" if wish.state_after else "state"]["events"]
        )
        assert len({event.key for event in told}) == len(told), f"twice in the state: {told}"
        if not wish.hides_state:
            for event in told:
                assert place.get(event.key) is event, f"{event} is not the state at {begin}"
        base = {} if old is None else dict(old.state)
        state = base | {event.key: event for event in told}
        if not wish.state_after:
            state |= {event.key: event for event in timeline if event.state_key is not None}
        whole = old.whole if old else not wish.lazy
        exact = not wish.hides_state and (old is None or old.exact)
        truth = room.state(end)
        if exact:
            rebuilt = {k: e for k, e in state.items() if whole or k[0] != MEMBER}
            wanted = {k: e for k, e in truth.items() if whole or k[0] != MEMBER}
            assert rebuilt == wanted, f"rebuilt {rebuilt} for {wanted}"
            assert all(truth[key] is event for key, event in state.items()), "a stale member"
            senders = {(MEMBER, event.sender) for event in timeline}
            assert not (wish.lazy or whole) or senders <= state.keys(), "a sender isn't told of"
        return RoomView(state, whole, exact)


def _events_in(value: object) -> Iterator[Json]:
    if isinstance(value, dict):
        if "event_id" in value and "content" in value:
            yield value
        for part in value.values():
            yield from _events_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from _events_in(part)
