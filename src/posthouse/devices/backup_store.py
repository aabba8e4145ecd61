"""The SQL of key backups. All tables are those of people; see store.py."""

from collections.abc import Iterable, Sequence
from typing import Final

import orjson

from posthouse.devices.backup_model import BackedUpKey, Backup, KeyRank, Place, Scope
from posthouse.matrix import RoomId, UserId
from posthouse.storage import Dialects, Insert, Reader, Row
from posthouse.streams import Write

# -- versions ------------------------------------------------------------------------------------

_VERSIONS: Final = """
    SELECT version, algorithm, auth_data, key_count, etag, deleted
    FROM backup_versions WHERE user_id = $1 ORDER BY version
"""


async def backups_of(reader: Reader, user_id: UserId) -> list[Backup]:
    """Every version that is remembered, deleted ones included, the oldest first."""
    rows = await reader.fetch_all(_VERSIONS, user_id)
    return [Backup(row[0], row[1], row[2], row[3], row[4], bool(row[5])) for row in rows]


_ADD_VERSION: Final = """
    INSERT INTO backup_versions (user_id, version, algorithm, auth_data, key_count, etag, deleted)
    VALUES ($1, $2, $3, $4, 0, $5, 0)
"""


async def add_backup(write: Write, user_id: UserId, backup: Backup) -> None:
    await write.execute(
        _ADD_VERSION, user_id, backup.version, backup.algorithm, backup.auth_data, backup.etag
    )


_SET_AUTH_DATA: Final = """
    UPDATE backup_versions SET auth_data = $3 WHERE user_id = $1 AND version = $2
"""


async def set_auth_data(write: Write, user_id: UserId, version: int, auth_data: bytes) -> None:
    await write.execute(_SET_AUTH_DATA, user_id, version, auth_data)


_NOTE_CHANGE: Final = """
    UPDATE backup_versions SET key_count = $3, etag = $4 WHERE user_id = $1 AND version = $2
"""


async def note_change(
    write: Write, user_id: UserId, version: int, *, count: int, etag: int
) -> None:
    await write.execute(_NOTE_CHANGE, user_id, version, count, etag)


_MARK_DELETED: Final = """
    UPDATE backup_versions SET deleted = 1, auth_data = $3, key_count = 0
    WHERE user_id = $1 AND version = $2
"""
_ADD_LEFTOVER: Final = """
    INSERT INTO backup_leftovers (user_id, version) VALUES ($1, $2)
    ON CONFLICT (user_id, version) DO NOTHING
"""


async def mark_deleted(write: Write, user_id: UserId, version: int) -> None:
    """Ends a version; its keys are left over until they are deleted in their turn."""
    await write.execute(_MARK_DELETED, user_id, version, b"{}")
    await write.execute(_ADD_LEFTOVER, user_id, version)


_FORGET_VERSION: Final = "DELETE FROM backup_versions WHERE user_id = $1 AND version = $2"


async def forget_version(write: Write, user_id: UserId, version: int) -> None:
    await write.execute(_FORGET_VERSION, user_id, version)


_LEFTOVERS: Final = "SELECT user_id, version FROM backup_leftovers ORDER BY version LIMIT $1"


async def leftovers(reader: Reader, limit: int) -> list[tuple[UserId, int]]:
    """Deleted versions, of anybody, that may still have keys."""
    return [(UserId(row[0]), row[1]) for row in await reader.fetch_all(_LEFTOVERS, limit)]


_CLEAR_LEFTOVER: Final = "DELETE FROM backup_leftovers WHERE user_id = $1 AND version = $2"


async def clear_leftover(write: Write, user_id: UserId, version: int) -> None:
    await write.execute(_CLEAR_LEFTOVER, user_id, version)


# -- keys ----------------------------------------------------------------------------------------

# A list of places travels as a list of JSON arrays, which both engines take apart.
_RANKS: Final = Dialects(
    sqlite="""
        SELECT k.room_id, k.session_id, k.is_verified, k.first_message_index, k.forwarded_count
        FROM json_each($3) AS place CROSS JOIN backup_keys AS k
        WHERE k.user_id = $1 AND k.version = $2
            AND k.room_id = place.value ->> 0 AND k.session_id = place.value ->> 1
    """,
    postgresql="""
        SELECT k.room_id, k.session_id, k.is_verified, k.first_message_index, k.forwarded_count
        FROM unnest($3::text[]) AS place (value) JOIN backup_keys AS k
            ON k.room_id = place.value::json ->> 0 AND k.session_id = place.value::json ->> 1
        WHERE k.user_id = $1 AND k.version = $2
    """,
)


async def ranks_of(
    reader: Reader, user_id: UserId, version: int, places: Iterable[Place]
) -> dict[Place, KeyRank]:
    """How good the keys are that are held at these places."""
    wanted = [orjson.dumps(place).decode() for place in places]
    return {
        (RoomId(row[0]), row[1]): KeyRank(bool(row[2]), row[3], row[4])
        for row in await reader.fetch_all(_RANKS, user_id, version, wanted)
    }


_PUT_KEYS: Final = Insert(
    "backup_keys",
    (
        ("user_id", "text"),
        ("version", "bigint"),
        ("room_id", "text"),
        ("session_id", "text"),
        ("is_verified", "smallint"),
        ("first_message_index", "bigint"),
        ("forwarded_count", "bigint"),
        ("session_data", "bytea"),
    ),
    """
    ON CONFLICT (user_id, version, room_id, session_id) DO UPDATE
        SET is_verified = excluded.is_verified,
            first_message_index = excluded.first_message_index,
            forwarded_count = excluded.forwarded_count,
            session_data = excluded.session_data
    """,
)


async def put_keys(
    write: Write, user_id: UserId, version: int, keys: Sequence[BackedUpKey]
) -> None:
    """Each key goes to its place, whatever lies there."""
    await write.insert_many(
        _PUT_KEYS,
        [
            (
                user_id,
                version,
                key.room_id,
                key.session_id,
                int(key.rank.is_verified),
                key.rank.first_message_index,
                key.rank.forwarded_count,
                key.session_data,
            )
            for key in keys
        ],
    )


_COLUMNS: Final = (
    "room_id, session_id, is_verified, first_message_index, forwarded_count, session_data"
)
_KEY: Final = f"""
    SELECT {_COLUMNS} FROM backup_keys
    WHERE user_id = $1 AND version = $2 AND room_id = $3 AND session_id = $4
"""
_PAGE: Final = f"""
    SELECT {_COLUMNS} FROM backup_keys
    WHERE user_id = $1 AND version = $2 AND (room_id, session_id) > ($3, $4)
    ORDER BY room_id, session_id LIMIT $5
"""
_PAGE_OF_ROOM: Final = f"""
    SELECT {_COLUMNS} FROM backup_keys
    WHERE user_id = $1 AND version = $2 AND room_id = $3 AND session_id > $4
    ORDER BY session_id LIMIT $5
"""


async def key_at(reader: Reader, user_id: UserId, version: int, place: Place) -> BackedUpKey | None:
    row = await reader.fetch_one(_KEY, user_id, version, *place)
    return None if row is None else _key(row)


async def page_of_keys(
    reader: Reader,
    user_id: UserId,
    version: int,
    *,
    room_id: RoomId | None,
    after: Place,
    limit: int,
) -> list[BackedUpKey]:
    """The keys behind a place, in the order of places, of one room or of all."""
    if room_id is None:
        rows = await reader.fetch_all(_PAGE, user_id, version, *after, limit)
    else:
        rows = await reader.fetch_all(_PAGE_OF_ROOM, user_id, version, room_id, after[1], limit)
    return [_key(row) for row in rows]


def _key(row: Row) -> BackedUpKey:
    return BackedUpKey(RoomId(row[0]), row[1], KeyRank(bool(row[2]), row[3], row[4]), row[5])


_DELETE_ALL: Final = """
    DELETE FROM backup_keys WHERE user_id = $1 AND version = $2
        AND (room_id, session_id) IN (
            SELECT room_id, session_id FROM backup_keys WHERE user_id = $1 AND version = $2
            ORDER BY room_id, session_id LIMIT $3
        )
"""
_DELETE_ROOM: Final = """
    DELETE FROM backup_keys WHERE user_id = $1 AND version = $2 AND room_id = $3
        AND session_id IN (
            SELECT session_id FROM backup_keys
            WHERE user_id = $1 AND version = $2 AND room_id = $3 ORDER BY session_id LIMIT $4
        )
"""
_DELETE_KEY: Final = """
    DELETE FROM backup_keys
    WHERE user_id = $1 AND version = $2 AND room_id = $3 AND session_id = $4
"""


async def delete_keys(write: Write, user_id: UserId, version: int, scope: Scope, limit: int) -> int:
    """Deletes up to `limit` of the keys that are meant; returns how many."""
    if scope.room_id is None:
        return await write.execute(_DELETE_ALL, user_id, version, limit)
    if scope.session_id is None:
        return await write.execute(_DELETE_ROOM, user_id, version, scope.room_id, limit)
    return await write.execute(_DELETE_KEY, user_id, version, scope.room_id, scope.session_id)
