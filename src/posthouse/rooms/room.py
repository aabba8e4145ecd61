"""One room in memory, in two layers: what is committed, and what is on its way.

(1) Readers see the committed layer only; the writer judges on *pending*.
(2) A key of the state is in `state` or it is cold: `None` there means that the room has no such
    state. What a commit changes is always put in, so what was read before it never replaces it.
(3) The state is never held whole: caches are by key, and bounded.
"""

from typing import Final, Protocol

from posthouse.matrix import PowerLevels, RoomId, RoomVersion, UserId, creators_of
from posthouse.rooms.model import EMPTY_HEAD, Head, StateEvent
from posthouse.streams import room_key

StateKey = tuple[str, str]

STATE_KEYS_MAX: Final = 2_048
"""How many keys of one room's state are kept in memory."""

CORE_STATE: Final = (
    "m.room.create",
    "m.room.power_levels",
    "m.room.join_rules",
    "m.room.history_visibility",
    "m.room.encryption",
)
"""What is read with a room and never forgotten: the rules ask for it at almost every event."""

CREATE: Final[StateKey] = ("m.room.create", "")
POWER_LEVELS: Final[StateKey] = ("m.room.power_levels", "")
ENCRYPTION: Final[StateKey] = ("m.room.encryption", "")


class Cold(Exception):
    """A judge needs state that is not in memory: load it, then judge again."""

    def __init__(self, key: StateKey) -> None:
        super().__init__(f"{key} is not in memory")
        self.key = key


class Watcher(Protocol):
    """Somebody online in a room; `sync` has them."""

    def room_changed(self, room: "Room") -> None:
        """The room has a new entry."""
        ...

    def somebody_types(self) -> None:
        """The typing list of one of the rooms has changed."""
        ...


class Pending:
    """What the room will be when everything on its way is committed."""

    __slots__ = ("head", "position", "state")

    def __init__(self, head: Head) -> None:
        self.head = head
        self.position = 0
        """The newest entry on its way, device notes included."""
        self.state: dict[StateKey, StateEvent] = {}


class Room:
    """A room of this process's streams."""

    __slots__ = (
        "_power",
        "complete",
        "creator",
        "head",
        "invited",
        "joined",
        "key",
        "loaded",
        "pending",
        "position",
        "room_id",
        "serial",
        "state",
        "stream",
        "version",
        "watchers",
    )

    def __init__(self, room_id: RoomId, version: RoomVersion, creator: UserId, stream: int) -> None:
        self.room_id = room_id
        self.key = room_key(room_id)
        self.version = version
        self.creator = creator
        self.stream = stream
        self.head: Head = EMPTY_HEAD
        self.position = 0
        """The newest entry of the room, device notes included."""
        self.joined = 0
        self.invited = 0
        self.loaded = False
        """Whether head, counts and the core of the state were read."""
        self.complete = False
        """Whether a key that is not in `state` is one that the room does not have."""
        self.serial = 0
        """Grows with each committed change of the state: a reader notices what it raced with."""
        self.state: dict[StateKey, StateEvent | None] = {}
        self.pending: Pending | None = None
        self.watchers: set[Watcher] = set()
        self._power: tuple[StateEvent | None, PowerLevels] | None = None

    # -- the committed layer -------------------------------------------------------------------

    def known(self, key: StateKey) -> bool:
        return self.complete or key in self.state

    def current(self, type_: str, state_key: str = "") -> StateEvent | None:
        """Committed state. Raises Cold where it must be read first."""
        key = (type_, state_key)
        try:
            return self.state[key]
        except KeyError:
            if self.complete:
                return None
            raise Cold(key) from None

    def learn(self, key: StateKey, event: StateEvent | None) -> None:
        """State that was read from storage; gives way to what a commit put in, invariant 2."""
        self.state.setdefault(key, event)
        if len(self.state) > STATE_KEYS_MAX:
            self._shed(key)

    def put(self, event: StateEvent) -> None:
        """State that was committed."""
        key = (event.event.type, event.event.state_key or "")
        self.state[key] = event
        if len(self.state) > STATE_KEYS_MAX:
            self._shed(key)

    def power_of(self, event: StateEvent | None) -> PowerLevels:
        """The levels that a power-levels event sets, parsed once; a redacted one is another."""
        if self._power is None or self._power[0] is not event:
            create = self.state.get(CREATE) or (
                self.pending.state.get(CREATE) if self.pending else None
            )
            assert create is not None, "the create event is always in memory"
            levels = PowerLevels.parse(
                event.content if event else None,
                creators_of(create.sender, create.content, self.version),
                self.version,
            )
            self._power = event, levels
        return self._power[1]

    def _shed(self, newest: StateKey) -> None:
        """Forgets what was put in first; the core of the state stays, and what was just put in."""
        self.complete = False
        for type_ in CORE_STATE:
            self.state.setdefault((type_, ""), None)
        for key in [key for key in self.state if not _is_core(key)][: STATE_KEYS_MAX // 2]:
            if key != newest:
                del self.state[key]

    # -- the pending layer ---------------------------------------------------------------------

    def begin(self) -> Pending:
        """The pending layer, laid on what is committed where there was none."""
        if self.pending is None:
            self.pending = Pending(self.head)
        return self.pending

    def expect(self, position: int) -> Pending:
        """The pending layer with one more entry on its way: until that is settled, memory keeps
        the room.
        """
        pending = self.begin()
        pending.position = position
        return pending

    def settle(self, position: int) -> None:
        """An entry was committed; with the newest one nothing is pending any more."""
        if self.pending is not None and self.pending.position == position:
            self.pending = None


def _is_core(key: StateKey) -> bool:
    return key[1] == "" and key[0] in CORE_STATE


class PendingState:
    """The state that the next event is judged against, as the rules ask for it."""

    __slots__ = ("_room",)

    def __init__(self, room: Room) -> None:
        self._room = room

    def get(self, type_: str, state_key: str, /) -> StateEvent | None:
        pending = self._room.pending
        if pending is not None:
            found = pending.state.get((type_, state_key))
            if found is not None:
                return found
        return self._room.current(type_, state_key)

    def power_levels(self) -> PowerLevels:
        return self._room.power_of(self.get(*POWER_LEVELS))
