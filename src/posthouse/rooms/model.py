"""What a room's log is made of, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import orjson
from msgspec import Meta, Struct

from posthouse.matrix import EventId, RoomId, UserId
from posthouse.matrix import StateEvent as RuledEvent

JsonObject = Mapping[str, Any]

Reason = Annotated[str, Meta(max_length=1024)] | None
"""Why somebody does something to a membership or an event, in their words."""

CONTENT_AT: Final = len(b'{"content":')
"""Where the content begins in an event's base bytes."""


class Event(Struct, gc=False):
    """One event of a room's log, as it is sent.

    `base` is the client's JSON text without its closing brace, without `room_id` and `unsigned`:
    made once, spliced by whoever sends it (docs/architecture.md §3, invariant 4).
    """

    key: int
    """The room's key."""
    position: int
    event_id: EventId
    type: str
    state_key: str | None
    sender: UserId
    ts: int
    """Origin time, milliseconds since 1970 UTC."""
    base: bytes
    content_size: int
    """Bytes of the content, which stands first in `base`."""
    prev: int
    """The position of the event before it in the room; 0 for the first."""
    replaces: int
    """The position of the state event that it replaced; 0 for none."""
    redacts: EventId | None
    redacted_by: int
    """The position of the event that redacted it; 0 for none."""
    txn_device: str | None
    txn_id: str | None
    prev_content: bytes | None = None
    """What the replaced state event said, where it is known."""
    replaces_id: EventId | None = None
    because: bytes | None = None
    """The redaction, as clients see it, where this event was redacted."""

    @property
    def size(self) -> int:
        return len(self.base) + 600

    @property
    def content(self) -> bytes:
        """The content's canonical JSON."""
        return self.base[CONTENT_AT : CONTENT_AT + self.content_size]

    @property
    def membership(self) -> str | None:
        """What a member event says; None for every other."""
        if self.type != "m.room.member" or self.state_key is None:
            return None
        membership = orjson.loads(self.content).get("membership")
        return membership if isinstance(membership, str) else None


class DeviceNote(Struct, gc=False):
    """An entry that says: this member's devices changed."""

    key: int
    position: int
    user_id: UserId

    @property
    def size(self) -> int:
        return 200


Entry = Event | DeviceNote


class StateEvent(RuledEvent, frozen=True):
    """A state event as the rules of authorisation read it, and where it stands."""

    position: int
    event: Event

    @property
    def membership(self) -> str | None:
        value = self.content.get("membership")
        return value if isinstance(value, str) else None


class Head(Struct, frozen=True):
    """The newest event of a room: what the next one follows."""

    position: int
    event_id: EventId | None
    depth: int
    ts: int


EMPTY_HEAD = Head(0, None, 0, 0)


@dataclass(slots=True, frozen=True)
class Pointer:
    """A person's membership of a room, as their own stream tells it."""

    room_id: RoomId
    membership: str
    room_position: int
    """Where the membership event stands in the room's stream."""
    position: int
    """Where the change stands in the person's stream."""
    forgotten: bool


class TransactionKey(Struct, frozen=True):
    """What makes a send the same send: scope of a transaction id."""

    sender: UserId
    device_id: str
    room: int
    endpoint: str
    txn_id: str
