"""How a key backup looks on the wire: what clients send of it, and what they get."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from posthouse.devices import backup_rules
from posthouse.devices.backup_model import BackedUpKey, Backup, KeyRank
from posthouse.devices.errors import TooManyBackedUp
from posthouse.matrix import BadJson, RoomId

BODY_BYTES_MAX: Final = 8 << 20
SESSION_ID_BYTES_MAX: Final = 255

Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
SessionId = Annotated[
    str, Meta(min_length=1, max_length=SESSION_ID_BYTES_MAX, pattern=r"\A[^\x00]+\Z")
]
Algorithm = Annotated[str, Meta(min_length=1, max_length=backup_rules.ALGORITHM_LENGTH_MAX)]


class KeyData(Struct, frozen=True):
    """One room key as a client uploads it."""

    first_message_index: Count
    forwarded_count: Count
    is_verified: bool
    session_data: dict[str, Any]

    def at(self, room_id: RoomId, session_id: str) -> BackedUpKey:
        rank = KeyRank(self.is_verified, self.first_message_index, self.forwarded_count)
        content = backup_rules.encode_session_data(self.session_data)
        return BackedUpKey(room_id, session_id, rank, content)


class RoomData(Struct, frozen=True):
    """The keys of one room as a client uploads them."""

    sessions: dict[str, KeyData]


class BackupView(Struct, frozen=True):
    """A version of the backup."""

    algorithm: str
    auth_data: msgspec.Raw
    count: int
    etag: str
    version: str

    @classmethod
    def of(cls, backup: Backup) -> "BackupView":
        return cls(
            algorithm=backup.algorithm,
            auth_data=msgspec.Raw(backup.auth_data),
            count=backup.count,
            etag=str(backup.etag),
            version=str(backup.version),
        )


class ChangedView(Struct, frozen=True):
    """What every change of keys is answered with."""

    count: int
    etag: str

    @classmethod
    def of(cls, backup: Backup) -> "ChangedView":
        return cls(count=backup.count, etag=str(backup.etag))


def uploaded(rooms: Iterable[tuple[RoomId, Mapping[str, KeyData]]]) -> list[BackedUpKey]:
    """The keys of an upload. Raises TooManyBackedUp, BackupKeyTooLarge, BadJson."""
    keys: list[BackedUpKey] = []
    for room_id, sessions in rooms:
        if len(keys) + len(sessions) > backup_rules.KEYS_PER_REQUEST_MAX:
            raise TooManyBackedUp()
        for session_id, data in sessions.items():
            if not 0 < len(session_id.encode()) <= SESSION_ID_BYTES_MAX:
                raise BadJson(f"A session id has 1 to {SESSION_ID_BYTES_MAX} bytes.")
            keys.append(data.at(room_id, session_id))
    return keys
