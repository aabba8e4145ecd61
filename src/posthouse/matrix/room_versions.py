"""Room versions 10, 11 and 12: what differs between them, as flags.

https://spec.matrix.org/v1.19/rooms/
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from posthouse.matrix.errors import UnsupportedRoomVersion


class RoomVersion(Struct, frozen=True):
    """The rules that a room is under from its creation to its end."""

    identifier: str
    creator_in_content: bool
    """The create event names its `creator`; otherwise its sender is the creator (11 and later)."""
    redacts_in_content: bool
    """A redaction names its target in `content.redacts`, not at the top level (11 and later)."""
    keeps_more_when_redacted: bool
    """The redaction algorithm of version 11: all of a create event, the `invite` level, …"""
    room_id_is_create_hash: bool
    """The room id is `!` and the create event's hash, which every event implies (12 and later)."""
    creators_are_infinite: bool
    """Creators, additional ones included, stand above every power level (12 and later)."""


ROOM_VERSIONS: Final[Mapping[str, RoomVersion]] = MappingProxyType(
    {
        "10": RoomVersion(
            identifier="10",
            creator_in_content=True,
            redacts_in_content=False,
            keeps_more_when_redacted=False,
            room_id_is_create_hash=False,
            creators_are_infinite=False,
        ),
        "11": RoomVersion(
            identifier="11",
            creator_in_content=False,
            redacts_in_content=True,
            keeps_more_when_redacted=True,
            room_id_is_create_hash=False,
            creators_are_infinite=False,
        ),
        "12": RoomVersion(
            identifier="12",
            creator_in_content=False,
            redacts_in_content=True,
            keeps_more_when_redacted=True,
            room_id_is_create_hash=True,
            creators_are_infinite=True,
        ),
    }
)


def room_version(identifier: str) -> RoomVersion:
    """The version of that name; raises UnsupportedRoomVersion."""
    version = ROOM_VERSIONS.get(identifier)
    if version is None:
        raise UnsupportedRoomVersion(
            f"This server makes rooms of the versions {', '.join(ROOM_VERSIONS)}."
        )
    return version
