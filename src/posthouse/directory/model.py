"""Names and list entries, as values."""

import enum
from dataclasses import dataclass

from posthouse.matrix import RoomAlias, RoomId, UserId


@dataclass(frozen=True, slots=True)
class Alias:
    """A name, and the room that it leads to."""

    alias: RoomAlias
    room_id: RoomId
    creator: UserId
    created_ms: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What the list tells of a published room, copied at a position of its stream."""

    room_id: RoomId
    room_position: int
    is_shown: bool
    """Whether the room's state lets strangers know of it."""
    joined: int
    room_type: str
    """Empty for an ordinary room."""
    search_text: str
    """What a search looks at, case folded."""
    entry: bytes
    """The JSON object that clients get."""


class Way(enum.StrEnum):
    """Which way a page lies from its token."""

    FORWARDS = "n"
    BACKWARDS = "p"


@dataclass(frozen=True, slots=True)
class Place:
    """Between two entries of the list: beside the one with this size and id."""

    way: Way
    joined: int
    room_id: RoomId


@dataclass(frozen=True, slots=True)
class Search:
    """What of the list somebody wants to see."""

    term: str = ""
    """Case folded; empty for everything."""
    room_types: tuple[str, ...] | None = None
    """Empty text stands for ordinary rooms; None for every type."""
