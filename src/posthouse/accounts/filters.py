"""Filters of sync and of history: their shape, and whether an event passes one.

https://spec.matrix.org/v1.19/client-server-api/#filtering

Values are frozen and hashable, so that readers with the same filter can share what is made for it.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

_Limit = Annotated[int, Meta(ge=0, le=2**53 - 1)]
_Rooms = Annotated[
    tuple[Annotated[str, Meta(pattern="^!", max_length=255)], ...], Meta(max_length=1_000)
]
_Senders = Annotated[
    tuple[Annotated[str, Meta(pattern="^@.*:", max_length=255)], ...], Meta(max_length=1_000)
]
_Types = Annotated[tuple[Annotated[str, Meta(max_length=255)], ...], Meta(max_length=1_000)]
_Fields = Annotated[tuple[Annotated[str, Meta(max_length=1_000)], ...], Meta(max_length=1_000)]


class EventFilter(Struct, frozen=True):
    """Which events pass. An absent list lets everything through; an empty one nothing."""

    limit: _Limit | None = None
    senders: _Senders | None = None
    not_senders: _Senders | None = None
    types: _Types | None = None
    not_types: _Types | None = None


class RoomEventFilter(EventFilter, frozen=True):
    """Which events of rooms pass."""

    rooms: _Rooms | None = None
    not_rooms: _Rooms | None = None
    contains_url: bool | None = None
    lazy_load_members: bool = False
    include_redundant_members: bool = False
    unread_thread_notifications: bool = False


class RoomFilter(Struct, frozen=True):
    """Which rooms pass, and what of each."""

    rooms: _Rooms | None = None
    not_rooms: _Rooms | None = None
    include_leave: bool = False
    state: RoomEventFilter = RoomEventFilter()
    timeline: RoomEventFilter = RoomEventFilter()
    ephemeral: RoomEventFilter = RoomEventFilter()
    account_data: RoomEventFilter = RoomEventFilter()


class Filter(Struct, frozen=True):
    """What a sync shows."""

    event_fields: _Fields | None = None
    event_format: Literal["client", "federation"] = "client"
    presence: EventFilter = EventFilter()
    account_data: EventFilter = EventFilter()
    room: RoomFilter = RoomFilter()


EVERYTHING = Filter()
"""The filter of a reader who named none."""


def matches(
    wanted: EventFilter,
    *,
    event_type: str,
    sender: str,
    room_id: str | None = None,
    has_url: bool = False,
) -> bool:
    """Does an event pass?

    (1) What a `not_` list names is out, even where the other list names it too.
    (2) `rooms`, `not_rooms` and `contains_url` count only where an event of a room is judged;
        `has_url` says whether its content has a `url`, and matters only if `contains_url` is set.
    """
    if not _listed(sender, wanted.senders, wanted.not_senders):
        return False
    if wanted.not_types is not None and _any_type(event_type, wanted.not_types):
        return False
    if wanted.types is not None and not _any_type(event_type, wanted.types):
        return False
    if not isinstance(wanted, RoomEventFilter):
        return True
    if room_id is not None and not _listed(room_id, wanted.rooms, wanted.not_rooms):
        return False
    return wanted.contains_url is None or wanted.contains_url == has_url


def includes_room(wanted: RoomFilter, room_id: str) -> bool:
    """Does a room pass at all? Asked before the filters of its parts."""
    return _listed(room_id, wanted.rooms, wanted.not_rooms)


def _listed(name: str, included: tuple[str, ...] | None, excluded: tuple[str, ...] | None) -> bool:
    if excluded is not None and name in excluded:
        return False
    return included is None or name in included


def _any_type(event_type: str, patterns: tuple[str, ...]) -> bool:
    return any(_type_fits(event_type, pattern) for pattern in patterns)


def _type_fits(event_type: str, pattern: str) -> bool:
    """Does a type fit a pattern in which `*` stands for any characters?

    Each part between two stars is taken at its first place after the one before. That finds a
    fit wherever there is one, in a time that no pattern can blow up, unlike a regular expression.
    """
    if "*" not in pattern:
        return event_type == pattern
    first, *middle, last = pattern.split("*")
    end = len(event_type) - len(last)
    if end < len(first) or not event_type.startswith(first) or not event_type.endswith(last):
        return False
    at = len(first)
    for part in middle:
        found = event_type.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
