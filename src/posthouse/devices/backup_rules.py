"""What may be in a key backup, and which of two keys is kept: plain functions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from posthouse.devices.backup_model import BackedUpKey, Backup, KeyRank
from posthouse.devices.errors import (
    BackupKeyTooLarge,
    BackupNotFound,
    BackupTooLarge,
    OtherAlgorithm,
    TooManyBackups,
    WrongBackupVersion,
)
from posthouse.matrix import encode_canonical

SESSION_DATA_BYTES_MAX: Final = 16_384
"""Clients' take some 700 bytes."""

AUTH_DATA_BYTES_MAX: Final = 32_768
ALGORITHM_LENGTH_MAX: Final = 255

KEYS_PER_REQUEST_MAX: Final = 10_000
KEYS_PER_BATCH_MAX: Final = 200
BATCH_BYTES_MAX: Final = 262_144
"""How much of a large upload goes into one transaction, between other people's writes."""

LIVE_VERSIONS_MAX: Final = 100
DELETED_VERSIONS_MAX: Final = 100
"""So many are remembered, the newest; those before them count as never made."""

Json = Mapping[str, Any]


def should_replace(held: KeyRank | None, new: KeyRank) -> bool:
    """Whether a new key takes the place of the one that is held for its session.

    A verified key goes before one that isn't, then the one that reads from an earlier message on,
    then the one that was forwarded less often. Of two that are equal in this, the first stays.
    https://spec.matrix.org/v1.19/client-server-api/#server-side-key-backups
    """
    return held is None or _order(new) < _order(held)


def _order(rank: KeyRank) -> tuple[bool, int, int]:
    return not rank.is_verified, rank.first_message_index, rank.forwarded_count


def parse_version(text: str) -> int:
    """A version as clients name it. Raises BackupNotFound for what no version is named."""
    if text.isascii() and text.isdecimal() and len(text) <= 18 and str(int(text)) == text:
        return int(text)
    raise BackupNotFound()


def next_serial(last: int, now_ms: int) -> int:
    """A version or an etag after `last`.

    It is the time rather than a number that counts: where an older copy of the data was put back,
    what is made after it has no name that a client knew before.
    """
    return max(last + 1, now_ms)


def encode_auth_data(auth_data: Json) -> bytes:
    """Raises BackupKeyTooLarge."""
    return _encode(auth_data, "auth_data", AUTH_DATA_BYTES_MAX)


def encode_session_data(session_data: Json) -> bytes:
    """Raises BackupKeyTooLarge."""
    return _encode(session_data, "session_data", SESSION_DATA_BYTES_MAX)


def _encode(value: Json, member: str, bytes_max: int) -> bytes:
    content = encode_canonical(value)
    if len(content) > bytes_max:
        raise BackupKeyTooLarge(f"`{member}` is larger than {bytes_max} bytes.")
    return content


def current_of(backups: Sequence[Backup]) -> Backup | None:
    """The backup that takes keys: the newest that isn't deleted."""
    live = [backup for backup in backups if not backup.is_deleted]
    return max(live, key=lambda backup: backup.version, default=None)


def live_version(backups: Sequence[Backup], version: int) -> Backup:
    """Raises BackupNotFound for one that is deleted, or never was."""
    for backup in backups:
        if backup.version == version and not backup.is_deleted:
            return backup
    raise BackupNotFound()


def writable_version(backups: Sequence[Backup], version: int) -> Backup:
    """The backup that keys may be put into. Raises WrongBackupVersion for a superseded one."""
    backup = live_version(backups, version)
    current = current_of(backups)
    if current is not None and current.version != version:
        raise WrongBackupVersion(current_version=str(current.version))
    return backup


def check_room_for_version(backups: Sequence[Backup]) -> None:
    """Raises TooManyBackups."""
    if sum(not backup.is_deleted for backup in backups) >= LIVE_VERSIONS_MAX:
        raise TooManyBackups()


def check_room_for_backed_up(backups: Sequence[Backup], added: int, keys_max: int) -> None:
    """Raises BackupTooLarge where a person's backups would hold more keys than they may."""
    if added and sum(backup.count for backup in backups) + added > keys_max:
        raise BackupTooLarge(f"Your backups may hold {keys_max} keys together.")


def check_algorithm(backup: Backup, algorithm: str) -> None:
    """Raises OtherAlgorithm: what is stored was made for the one that it began with."""
    if backup.algorithm != algorithm:
        raise OtherAlgorithm()


def forgettable(backups: Sequence[Backup]) -> list[int]:
    """The deleted versions that are remembered no longer, once there is one more."""
    deleted = sorted((b.version for b in backups if b.is_deleted), reverse=True)
    return deleted[DELETED_VERSIONS_MAX:]


def batches(keys: Iterable[BackedUpKey]) -> list[list[BackedUpKey]]:
    """The keys in portions of bounded number and size, in their order."""
    portions: list[list[BackedUpKey]] = []
    size = 0
    for key in keys:
        size += len(key.session_data)
        if not portions or len(portions[-1]) == KEYS_PER_BATCH_MAX or size > BATCH_BYTES_MAX:
            portions.append([])
            size = len(key.session_data)
        portions[-1].append(key)
    return portions


def spelled(key: BackedUpKey) -> dict[str, Any]:
    """A key as clients read it."""
    return {
        "first_message_index": key.rank.first_message_index,
        "forwarded_count": key.rank.forwarded_count,
        "is_verified": key.rank.is_verified,
        "session_data": orjson.Fragment(key.session_data),
    }
