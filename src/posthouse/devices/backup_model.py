"""The key backup as values: its versions, and the room keys in them."""

from dataclasses import dataclass

from posthouse.matrix import RoomId

Place = tuple[RoomId, str]
"""A room and a session: where a key lies in a backup."""


@dataclass(frozen=True, slots=True)
class KeyRank:
    """What decides which of two keys of one session is kept."""

    is_verified: bool
    first_message_index: int
    forwarded_count: int


@dataclass(frozen=True, slots=True)
class BackedUpKey:
    """A room key; `session_data` is JSON that clients encrypted."""

    room_id: RoomId
    session_id: str
    rank: KeyRank
    session_data: bytes

    @property
    def place(self) -> Place:
        return self.room_id, self.session_id


@dataclass(frozen=True, slots=True)
class Backup:
    """One version of a person's backup; `auth_data` is JSON. A deleted one has no keys."""

    version: int
    algorithm: str
    auth_data: bytes
    count: int
    etag: int
    """Changes whenever the keys do, and never comes back to what it was."""
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """Which keys of a backup are meant: all, a room's, or one."""

    room_id: RoomId | None = None
    session_id: str | None = None
