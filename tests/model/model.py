"""What rooms, visibility and to-device messages are, written from the specification alone.

Nothing here is clever: a room is a list of events, what somebody sees is asked of each event anew.
Every event carries a *mark*, a word that stands nowhere else, so that it is recognised in whatever
an answer says; the few events that a new room begins with by itself are known by their state key.

Time is a count of deeds. A sync token stands for a *moment*: a time, and how much of each room's log
there was (deeds at one time may be in one answer and not in the other).
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

Json = dict[str, Any]
Key = tuple[str, str]

MARK: Final = re.compile(r"mark-\d+-")
MEMBER: Final = "m.room.member"
VISIBILITY: Final = "m.room.history_visibility"
ENCRYPTION: Final = "m.room.encryption"
STRIPPED: Final = frozenset(
    f"m.room.{name}"
    for name in ("create", "name", "avatar", "topic", "join_rules", "canonical_alias", "encryption")
)
NOBODY: Final = "@nobody:nowhere"


@dataclass(eq=False)
class Event:
    """One event; `value` is what matters of its content: a membership, a visibility, a rule."""

    room: "Room"
    index: int
    type: str
    sender: str
    state_key: str | None
    mark: str
    value: str = ""
    txn: tuple[str, str] | None = None
    """Device and transaction id of a send."""
    event_id: str | None = None
    redacted_by: "Event | None" = None

    @property
    def key(self) -> Key:
        assert self.state_key is not None
        return self.type, self.state_key

    def __repr__(self) -> str:
        return f"{self.index}:{self.type.removeprefix('m.room.')}={self.value or self.mark}"


@dataclass(eq=False)
class Room:
    """A room's log. `end` is a number of events: the log as it was when it had so many."""

    room_id: str
    log: list[Event] = field(default_factory=list)
    forgotten: set[str] = field(default_factory=set)
    _visible: dict[str, list[bool]] = field(default_factory=dict)
    _known: dict[str, set[Event]] = field(default_factory=dict)

    def changed(self) -> None:
        self._visible.clear()
        self._known.clear()

    def state(self, end: int) -> dict[Key, Event]:
        return {event.key: event for event in self.log[:end] if event.state_key is not None}

    def value(self, type_: str, end: int, default: str = "", state_key: str = "") -> str:
        event = self.state(end).get((type_, state_key))
        return event.value if event else default

    def membership(self, user: str, end: int) -> str:
        return self.value(MEMBER, end, "leave", user)

    def own(self, user: str, first: int, end: int) -> list[Event]:
        """The person's own member events of a stretch of the log."""
        return [e for e in self.log[first:end] if e.type == MEMBER and e.state_key == user]

    def joined(self, end: int) -> set[str]:
        return {e.key[1] for e in self.state(end).values() if (e.type, e.value) == (MEMBER, "join")}

    def encrypted(self, end: int) -> bool:
        return (ENCRYPTION, "") in self.state(end)

    # -- https://spec.matrix.org/v1.19/client-server-api/#server-behaviour-4 -------------------

    def sees(self, user: str, event: Event) -> bool:
        """Judged with what held at the event; before it or after it, where it changes just that."""
        if user not in self._visible:
            self._visible[user] = [
                self._sees(user, index, index) or self._sees(user, index, index + 1)
                for index in range(len(self.log))
            ]
        return self._visible[user][event.index]

    def shows(self, user: str, event: Event) -> bool:
        """Whether the person gets the event by asking: who forgot the room is a stranger to it."""
        return self.sees(NOBODY if user in self.forgotten else user, event)

    def _sees(self, user: str, index: int, end: int) -> bool:
        visibility = self.value(VISIBILITY, end, "shared")
        membership = self.membership(user, end)
        joins_later = any(e.value == "join" for e in self.own(user, index + 1, len(self.log)))
        return (
            visibility == "world_readable"
            or membership == "join"
            or (visibility == "shared" and joins_later)
            or (visibility == "invited" and membership == "invite")
        )

    def seen(self, user: str, first: int, end: int) -> list[Event]:
        return [event for event in self.log[first:end] if self.sees(user, event)]

    def known(self, user: str) -> set[Event]:
        """All events that the person may ever have been told of: those they see, the state around
        these, what an invite shows of a room, and what became of their own membership.
        """
        if user not in self._known:
            known: set[Event] = set()
            state: dict[Key, Event] = {}
            for event in self.log:
                sees = self.sees(user, event)
                known.update([event, *state.values()] if sees else ())
                if event.state_key is not None:
                    state[event.key] = event
                known.update(state.values() if sees else ())
                own = state.get((MEMBER, user))
                if own is None:
                    continue
                known.add(own)
                if user in self.forgotten:
                    continue
                if own.value == "invite":
                    known.update(e for e in state.values() if e.type in STRIPPED)
                    known.update(e for e in [state.get((MEMBER, own.sender))] if e)
            self._known[user] = known
        return self._known[user]

    def leaving(self, user: str, end: int) -> int:
        """How long the log was when the person's last stay had ended."""
        own = self.own(user, 0, end)
        last = max((e.index for e in own if e.value == "join"), default=-1)
        return next(e.index for e in own if e.index > last) + 1


@dataclass(frozen=True)
class Moment:
    """What one token stands for."""

    time: int = 0
    ends: Mapping[str, int] = field(default_factory=dict)

    def end(self, room: Room) -> int:
        return self.ends.get(room.room_id, 0)


@dataclass
class Model:
    """Everything that happened, in order."""

    now: int = 0
    rooms: dict[str, Room] = field(default_factory=dict)
    by_id: dict[str, Event] = field(default_factory=dict)
    by_mark: dict[str, Event] = field(default_factory=dict)
    mail: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    """Per device the to-device messages, each with its time."""
    presented: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Per device the latest time whose token it has shown: what came until then may be gone."""
    key_changes: list[tuple[int, str]] = field(default_factory=list)

    def moment(self) -> Moment:
        """The present."""
        ends = {room.room_id: len(room.log) for room in self.rooms.values()}
        return Moment(self.now, ends)

    # -- what happens --------------------------------------------------------------------------

    def happens(
        self,
        room: Room,
        type_: str,
        sender: str,
        state_key: str | None,
        mark: str,
        *,
        value: str = "",
        event_id: str | None = None,
        txn: tuple[str, str] | None = None,
        redacts: Event | None = None,
    ) -> Event:
        event = Event(room, len(room.log), type_, sender, state_key, mark, value, txn, event_id)
        room.log.append(event)
        self.by_mark[mark] = event
        if event_id is not None:
            assert event_id not in self.by_id, "two events under one id"
            self.by_id[event_id] = event
        if redacts is not None and redacts.redacted_by is None:
            redacts.redacted_by = event
        if type_ == MEMBER and state_key is not None:
            room.forgotten.discard(state_key)
        room.changed()
        return event

    def forgets(self, room: Room, user: str) -> None:
        room.forgotten.add(user)
        room.changed()

    # -- what answers say ----------------------------------------------------------------------

    def name(self, room: Room, told: Json) -> Event:
        """The event that an answer tells of; what it says must be what was said."""
        marks = MARK.findall(orjson.dumps(told["content"]).decode())
        event = self.by_id.get(told["event_id"])
        if event is None:
            first = f"{room.room_id}|{told['type']}|{told.get('state_key')}"
            event = self.by_mark[marks[0] if marks else first]
            assert event.event_id is None, f"one event under two ids: {told}"
            event.event_id = told["event_id"]
            self.by_id[told["event_id"]] = event
        assert event.room is room, f"of another room: {told}"
        said = told["type"], told["sender"], told.get("state_key")
        assert said == (event.type, event.sender, event.state_key), f"{told} is not {event}"
        whole = event.redacted_by is None and MARK.match(event.mark)
        assert marks == ([event.mark] if whole else []), f"{told} is not {event}"
        if event.type == MEMBER:
            assert told["content"]["membership"] == event.value
        return event

    def told(self, room: Room, events: Iterable[Json]) -> list[Event]:
        return [self.name(room, event) for event in events]

    def marks_for(self, user: str, device: str) -> set[str]:
        """Every mark that an answer to this device may hold. A redacted one is nobody's."""
        known = {e.mark for room in self.rooms.values() for e in room.known(user)}
        known -= {e.mark for room in self.rooms.values() for e in room.log if e.redacted_by}
        return known | {mark for _, mark in self.mail[device]}

    # -- devices -------------------------------------------------------------------------------

    def follows(self, user: str, at: Moment) -> set[str]:
        """Everybody with whom the person shares an encrypted room at a moment."""
        shared: set[str] = set()
        for room in self.rooms.values():
            end = at.end(room)
            if room.encrypted(end) and user in (joined := room.joined(end)):
                shared |= joined
        return shared - {user}

    def met(self, user: str, since: Moment, at: Moment) -> set[str]:
        """Everybody whose membership, of whatever kind, was told in a room while the person was in
        it between two moments.
        """
        met: set[str] = set()
        for room in self.rooms.values():
            for end in range(since.end(room), at.end(room) + 1):
                if user in room.joined(end) or (end and user in room.joined(end - 1)):
                    met |= {key for type_, key in room.state(end) if type_ == MEMBER}
        return met - {user}
