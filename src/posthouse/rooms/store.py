"""The SQL of the tables of rooms: the log, the current state, device notes, pointers.

Positions bound every read of the log, so that an answer is of one moment whatever commits meanwhile.
"""

import asyncio
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from sys import intern
from typing import Any, Final

import orjson

from posthouse.matrix import EventId, InvalidParam, RoomId, UserId, event_id_of, hash_in
from posthouse.rooms.model import DeviceNote, Event, Pointer, TransactionKey
from posthouse.rooms.wire import base_bytes, served_content
from posthouse.storage import Dialects, Insert, Reader, Row

EVENTS: Final = Insert(
    "events",
    (
        ("id", "bigint"),
        ("room", "bigint"),
        ("position", "bigint"),
        ("type", "text"),
        ("state_key", "text"),
        ("sender", "text"),
        ("ts", "bigint"),
        ("depth", "bigint"),
        ("hash", "bytea"),
        ("short_hash", "bigint"),
        ("content_hash", "bytea"),
        ("auth", "bytea"),
        ("prev", "bigint"),
        ("replaces", "bigint"),
        ("redacts", "text"),
        ("redacted_by", "bigint"),
        ("txn_device", "text"),
        ("txn_id", "text"),
        ("content", "bytea"),
    ),
)

CURRENT_STATE: Final = Insert(
    "current_state",
    (
        ("room", "bigint"),
        ("type", "text"),
        ("state_key", "text"),
        ("position", "bigint"),
        ("membership", "text"),
    ),
    "ON CONFLICT (room, type, state_key) DO UPDATE "
    "SET position = excluded.position, membership = excluded.membership",
)

ROOMS: Final = Insert(
    "rooms",
    (
        ("room", "bigint"),
        ("room_id", "text"),
        ("version", "text"),
        ("creator", "text"),
        ("created_ms", "bigint"),
    ),
)

DEVICE_NOTES: Final = Insert(
    "device_notes",
    (("id", "bigint"), ("room", "bigint"), ("position", "bigint"), ("user_id", "text")),
)

# To SQLite CROSS JOIN says that the tables are read in the order in which they are written, and a
# materialised list gets an index: without them, 50 members of rooms took it a second. `+position`
# keeps both engines from walking through a room's whole log where its state has an index.

REDACT: Final = """
    UPDATE events SET content = $1, redacted_by = $2 WHERE room = $3 AND position = $4
"""

_ROWS_PER_SLICE: Final = 500

_COLUMNS: Final = (
    "e.room, e.position, e.type, e.state_key, e.sender, e.ts, e.hash, e.prev, e.replaces, "
    "e.redacts, e.redacted_by, e.txn_device, e.txn_id, e.content"
)

_ROOM: Final = "SELECT room_id, version, creator FROM rooms WHERE room = $1"

_ROOMS_AND_ENDS: Final = """
    SELECT r.room, r.room_id, r.version, r.creator,
        (SELECT MAX(e.position) FROM events e WHERE e.room = r.room),
        (SELECT MAX(n.position) FROM device_notes n WHERE n.room = r.room)
    FROM rooms r
"""
_ROOMS_BY_KEYS: Final = Dialects(
    sqlite=_ROOMS_AND_ENDS + "WHERE r.room IN (SELECT value FROM json_each($1))",
    postgresql=_ROOMS_AND_ENDS + "WHERE r.room = ANY($1::bigint[])",
)

_HEAD: Final = f"""
    SELECT e.depth, {_COLUMNS} FROM events e WHERE e.room = $1 ORDER BY e.position DESC LIMIT 1
"""

_LAST_NOTE: Final = """
    SELECT position FROM device_notes WHERE room = $1 ORDER BY position DESC LIMIT 1
"""

_CURRENT: Final = f"""
    SELECT {_COLUMNS} FROM current_state s CROSS JOIN events e
    WHERE s.room = $1 AND s.type = $2 AND s.state_key = $3
        AND e.room = s.room AND e.position = s.position
"""

_CURRENT_BY_TYPES: Final = Dialects(
    sqlite=f"""
        SELECT {_COLUMNS} FROM current_state s
        CROSS JOIN events e ON e.room = s.room AND e.position = s.position
        WHERE s.room = $1 AND s.state_key = '' AND s.type IN (SELECT value FROM json_each($2))
    """,
    postgresql=f"""
        SELECT {_COLUMNS} FROM current_state s
        JOIN events e ON e.room = s.room AND e.position = s.position
        WHERE s.room = $1 AND s.state_key = '' AND s.type = ANY($2::text[])
    """,
)

_STATES_OF_TYPES: Final = Dialects(
    sqlite=f"""
        SELECT {_COLUMNS} FROM json_each($1) r
        CROSS JOIN json_each($2) t
        CROSS JOIN current_state s ON s.room = r.value AND s.type = t.value AND s.state_key = ''
        CROSS JOIN events e ON e.room = s.room AND e.position = s.position
    """,
    postgresql=f"""
        SELECT {_COLUMNS} FROM current_state s
        JOIN events e ON e.room = s.room AND e.position = s.position
        WHERE s.room = ANY($1::bigint[]) AND s.state_key = '' AND s.type = ANY($2::text[])
    """,
)

_ENCRYPTED: Final = Dialects(
    sqlite="""
        SELECT s.room FROM json_each($1) r
        CROSS JOIN current_state s
            ON s.room = r.value AND s.type = 'm.room.encryption' AND s.state_key = ''
    """,
    postgresql="""
        SELECT room FROM current_state
        WHERE room = ANY($1::bigint[]) AND type = 'm.room.encryption' AND state_key = ''
    """,
)

_CURRENT_MEMBERS: Final = Dialects(
    sqlite=f"""
        SELECT {_COLUMNS} FROM current_state s
        CROSS JOIN events e ON e.room = s.room AND e.position = s.position
        WHERE s.room = $1 AND s.type = 'm.room.member'
            AND s.state_key IN (SELECT value FROM json_each($2))
    """,
    postgresql=f"""
        SELECT {_COLUMNS} FROM current_state s
        JOIN events e ON e.room = s.room AND e.position = s.position
        WHERE s.room = $1 AND s.type = 'm.room.member' AND s.state_key = ANY($2::text[])
    """,
)

_MEMBERS_NOW: Final = f"""
    SELECT {_COLUMNS} FROM current_state s CROSS JOIN events e
    WHERE s.room = $1 AND s.type = 'm.room.member'
        AND e.room = s.room AND e.position = s.position
    ORDER BY e.position
"""

_MEMBERS_AT: Final = f"""
    SELECT {_COLUMNS} FROM events e
    WHERE e.room = $1 AND e.type = 'm.room.member' AND e.state_key IS NOT NULL
        AND +e.position <= $2
        AND e.position = (
            SELECT MAX(x.position) FROM events x
            WHERE x.room = e.room AND x.type = e.type AND x.state_key = e.state_key
                AND x.position <= $2
        )
    ORDER BY +e.position
"""

_COUNTS: Final = """
    SELECT membership, COUNT(*) FROM current_state
    WHERE room = $1 AND type = 'm.room.member' AND membership IN ('join', 'invite')
    GROUP BY membership
"""

_MEMBER_IDS: Final = """
    SELECT state_key FROM current_state
    WHERE room = $1 AND type = 'm.room.member' AND membership = $2
    ORDER BY state_key LIMIT $3
"""

_BY_HASH: Final = f"SELECT {_COLUMNS} FROM events e WHERE e.short_hash = $1"

_BY_POSITIONS: Final = Dialects(
    sqlite=f"""
        SELECT {_COLUMNS} FROM events e
        WHERE e.room = $1 AND e.position IN (SELECT value FROM json_each($2))
    """,
    postgresql=f"""
        SELECT {_COLUMNS} FROM events e WHERE e.room = $1 AND e.position = ANY($2::bigint[])
    """,
)

_BACKWARDS: Final = f"""
    SELECT {_COLUMNS} FROM events e
    WHERE e.room = $1 AND e.position <= $2 AND e.position > $3
    ORDER BY e.position DESC LIMIT $4
"""

_FORWARDS: Final = f"""
    SELECT {_COLUMNS} FROM events e
    WHERE e.room = $1 AND e.position > $2 AND e.position <= $3
    ORDER BY e.position LIMIT $4
"""

_STATE_AT: Final = f"""
    SELECT {_COLUMNS} FROM events e
    WHERE e.room = $1 AND e.state_key IS NOT NULL AND +e.position <= $2
        AND e.position = (
            SELECT MAX(x.position) FROM events x
            WHERE x.room = e.room AND x.type = e.type AND x.state_key = e.state_key
                AND x.position <= $2
        )
    ORDER BY +e.position
"""

_STATE_KEY_AT: Final = f"""
    SELECT {_COLUMNS} FROM events e
    WHERE e.room = $1 AND e.type = $2 AND e.state_key = $3 AND e.position <= $4
    ORDER BY e.position DESC LIMIT 1
"""

_STATE_BETWEEN: Final = f"""
    SELECT {_COLUMNS} FROM events e
    WHERE e.room = $1 AND e.state_key IS NOT NULL AND e.position > $2 AND e.position <= $3
    ORDER BY e.position
"""

_TIMELINES: Final = Dialects(
    sqlite=f"""
        WITH r AS MATERIALIZED (SELECT key, value FROM json_each($1)),
            f AS MATERIALIZED (SELECT key, value FROM json_each($2)),
            t AS MATERIALIZED (SELECT key, value FROM json_each($3))
        SELECT {_COLUMNS} FROM r CROSS JOIN f ON f.key = r.key CROSS JOIN t ON t.key = r.key
        CROSS JOIN events e ON e.id IN (
            SELECT x.id FROM events x
            WHERE x.room = r.value AND x.position > f.value AND x.position <= t.value
            ORDER BY x.position DESC LIMIT $4
        )
    """,
    postgresql=f"""
        SELECT {_COLUMNS}
        FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS r (room, after, up_to)
        CROSS JOIN LATERAL (
            SELECT * FROM events x
            WHERE x.room = r.room AND x.position > r.after AND x.position <= r.up_to
            ORDER BY x.position DESC LIMIT $4
        ) e
    """,
)

_AT_PLACES: Final = Dialects(
    sqlite=f"""
        WITH r AS MATERIALIZED (SELECT key, value FROM json_each($1)),
            p AS MATERIALIZED (SELECT key, value FROM json_each($2))
        SELECT {_COLUMNS} FROM r CROSS JOIN p ON p.key = r.key
        CROSS JOIN events e ON e.room = r.value AND e.position = p.value
    """,
    postgresql=f"""
        SELECT {_COLUMNS} FROM unnest($1::bigint[], $2::bigint[]) AS r (room, position)
        JOIN events e ON e.room = r.room AND e.position = r.position
    """,
)

_SIGHTS: Final = Dialects(
    sqlite="""
        SELECT e.room, e.type, e.position, e.content FROM json_each($1) r
        CROSS JOIN events e ON e.room = r.value AND e.state_key IS NOT NULL
            AND e.type = 'm.room.history_visibility' AND e.state_key = ''
        UNION ALL
        SELECT e.room, e.type, e.position, e.content FROM json_each($1) r
        CROSS JOIN events e ON e.room = r.value AND e.state_key IS NOT NULL
            AND e.type = 'm.room.member' AND e.state_key = $2
        ORDER BY 3
    """,
    postgresql="""
        SELECT room, type, position, content FROM events
        WHERE room = ANY($1::bigint[]) AND type = 'm.room.history_visibility' AND state_key = ''
        UNION ALL
        SELECT room, type, position, content FROM events
        WHERE room = ANY($1::bigint[]) AND type = 'm.room.member' AND state_key = $2
        ORDER BY 3
    """,
)

_STATES: Final = Dialects(
    sqlite=f"""
        SELECT {_COLUMNS} FROM json_each($1) r
        CROSS JOIN current_state s ON s.room = r.value
        CROSS JOIN events e ON e.room = s.room AND e.position = s.position
        WHERE $2 = 1 OR s.type <> 'm.room.member'
        ORDER BY e.position
    """,
    postgresql=f"""
        SELECT {_COLUMNS} FROM current_state s
        JOIN events e ON e.room = s.room AND e.position = s.position
        WHERE s.room = ANY($1::bigint[]) AND ($2::bigint = 1 OR s.type <> 'm.room.member')
        ORDER BY e.position
    """,
)

_CURRENT_OF_TYPE: Final = f"""
    SELECT {_COLUMNS} FROM current_state s
    JOIN events e ON e.room = s.room AND e.position = s.position
    WHERE s.room = $1 AND s.type = $2
    ORDER BY e.position LIMIT $3
"""

_TIME_FROM: Final = """
    SELECT position, ts FROM events WHERE room = $1 AND position >= $2 ORDER BY position LIMIT 1
"""

_MEMBERS_OF_ROOMS: Final = Dialects(
    sqlite=f"""
        WITH r AS MATERIALIZED (SELECT key, value FROM json_each($1)),
            u AS MATERIALIZED (SELECT key, value FROM json_each($2))
        SELECT {_COLUMNS} FROM r CROSS JOIN u ON u.key = r.key
        CROSS JOIN current_state s
            ON s.room = r.value AND s.type = 'm.room.member' AND s.state_key = u.value
        CROSS JOIN events e ON e.room = s.room AND e.position = s.position
    """,
    postgresql=f"""
        SELECT {_COLUMNS} FROM unnest($1::bigint[], $2::text[]) AS r (room, user_id)
        JOIN current_state s
            ON s.room = r.room AND s.type = 'm.room.member' AND s.state_key = r.user_id
        JOIN events e ON e.room = s.room AND e.position = s.position
    """,
)

_MEMBERS_AT_PLACES: Final = Dialects(
    sqlite=f"""
        WITH r AS MATERIALIZED (SELECT key, value FROM json_each($1)),
            u AS MATERIALIZED (SELECT key, value FROM json_each($2)),
            p AS MATERIALIZED (SELECT key, value FROM json_each($3))
        SELECT {_COLUMNS} FROM r CROSS JOIN u ON u.key = r.key CROSS JOIN p ON p.key = r.key
        CROSS JOIN events e ON e.id = (
            SELECT x.id FROM events x
            WHERE x.room = r.value AND x.type = 'm.room.member' AND x.state_key = u.value
                AND x.position <= p.value
            ORDER BY x.position DESC LIMIT 1
        )
    """,
    postgresql=f"""
        SELECT {_COLUMNS}
        FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS r (room, user_id, place)
        CROSS JOIN LATERAL (
            SELECT * FROM events x
            WHERE x.room = r.room AND x.type = 'm.room.member' AND x.state_key = r.user_id
                AND x.position <= r.place
            ORDER BY x.position DESC LIMIT 1
        ) e
    """,
)

_COUNTS_OF_ROOMS: Final = Dialects(
    sqlite="""
        SELECT s.room, s.membership, COUNT(*) FROM json_each($1) r
        CROSS JOIN current_state s ON s.room = r.value AND s.type = 'm.room.member'
        WHERE s.membership IN ('join', 'invite')
        GROUP BY s.room, s.membership
    """,
    postgresql="""
        SELECT room, membership, COUNT(*) FROM current_state
        WHERE room = ANY($1::bigint[]) AND type = 'm.room.member'
            AND membership IN ('join', 'invite')
        GROUP BY room, membership
    """,
)


def _first_members(memberships: str) -> Dialects:
    return Dialects(
        sqlite=f"""
            SELECT s.room, s.state_key FROM json_each($1) r
            CROSS JOIN current_state s ON s.room = r.value AND s.type = 'm.room.member'
                AND s.state_key IN (
                    SELECT x.state_key FROM current_state x
                    WHERE x.room = r.value AND x.type = 'm.room.member' AND x.state_key <> $2
                        AND x.membership IN ({memberships})
                    ORDER BY x.position LIMIT $3
                )
            ORDER BY s.position
        """,
        postgresql=f"""
            SELECT r.room, s.state_key FROM unnest($1::bigint[]) AS r (room)
            CROSS JOIN LATERAL (
                SELECT x.state_key, x.position FROM current_state x
                WHERE x.room = r.room AND x.type = 'm.room.member' AND x.state_key <> $2
                    AND x.membership IN ({memberships})
                ORDER BY x.position LIMIT $3
            ) s
            ORDER BY s.position
        """,
    )


_HEROES_OF_ROOMS: Final = _first_members("'join', 'invite'")
_FORMER_HEROES_OF_ROOMS: Final = _first_members("'leave', 'ban'")

_NAMES_OF_ROOMS: Final = Dialects(
    sqlite="""
        SELECT s.room, e.content FROM json_each($1) r
        CROSS JOIN current_state s ON s.room = r.value AND s.state_key = ''
            AND s.type IN ('m.room.name', 'm.room.canonical_alias')
        CROSS JOIN events e ON e.room = s.room AND e.position = s.position
    """,
    postgresql="""
        SELECT s.room, e.content FROM current_state s
        JOIN events e ON e.room = s.room AND e.position = s.position
        WHERE s.room = ANY($1::bigint[]) AND s.state_key = ''
            AND s.type IN ('m.room.name', 'm.room.canonical_alias')
    """,
)

_WHERE_JOINED: Final = Dialects(
    sqlite="""
        SELECT DISTINCT s.state_key FROM json_each($1) r
        CROSS JOIN json_each($2) u
        CROSS JOIN current_state s
            ON s.room = r.value AND s.type = 'm.room.member' AND s.state_key = u.value
        WHERE s.membership = 'join'
    """,
    postgresql="""
        SELECT DISTINCT state_key FROM current_state
        WHERE room = ANY($1::bigint[]) AND type = 'm.room.member' AND state_key = ANY($2::text[])
            AND membership = 'join'
    """,
)

_HISTORY_OF_KEY: Final = """
    SELECT position, content FROM events
    WHERE room = $1 AND type = $2 AND state_key = $3 AND position <= $4
    ORDER BY position
"""

_NOTES_BETWEEN: Final = """
    SELECT position, user_id FROM device_notes
    WHERE room = $1 AND position > $2 AND position <= $3 ORDER BY position
"""

_MEMBER_EVENTS_OF_STREAM: Final = """
    SELECT e.id, r.room_id, e.position, e.state_key, e.content FROM events e
    JOIN rooms r ON r.room = e.room
    WHERE e.id > $1 AND e.id <= $2 AND e.type = 'm.room.member' AND e.state_key IS NOT NULL
    ORDER BY e.id LIMIT $3
"""

_RECENT_TRANSACTIONS: Final = """
    SELECT id, room, sender, txn_device, txn_id, hash, ts FROM events
    WHERE id > $1 AND id < $2 AND txn_id IS NOT NULL ORDER BY id DESC LIMIT $3
"""

_OLDER_TRANSACTION: Final = """
    SELECT event_hash FROM event_transactions WHERE scope_hash = $1 AND ts > $2
"""

TRANSACTIONS: Final = Insert(
    "event_transactions",
    (
        ("scope_hash", "bigint"),
        ("stream", "bigint"),
        ("event_hash", "bytea"),
        ("ts", "bigint"),
    ),
    "ON CONFLICT (scope_hash) DO NOTHING",
)

ROOM_CURSORS: Final = Insert(
    "room_cursors",
    (("consumer", "text"), ("source", "bigint"), ("target", "bigint"), ("position", "bigint")),
    "ON CONFLICT (consumer, source, target) DO UPDATE SET position = excluded.position",
)

_ROOM_CURSOR: Final = """
    SELECT position FROM room_cursors WHERE consumer = $1 AND source = $2 AND target = $3
"""

_INDEXED: Final = """
    SELECT scope_hash FROM event_transactions WHERE scope_hash > $1 ORDER BY scope_hash LIMIT $2
"""

_OLD_TRANSACTIONS: Final = """
    SELECT id, room, sender, txn_device, txn_id, hash, ts FROM events
    WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3
"""

FORGET_TRANSACTIONS: Final = "DELETE FROM event_transactions WHERE stream = $1 AND ts <= $2"

_POINTERS: Final = """
    SELECT room_id, membership, room_position, position, forgotten FROM memberships
    WHERE user_id = $1
"""

_POINTER: Final = """
    SELECT room_id, membership, room_position, position, forgotten FROM memberships
    WHERE user_id = $1 AND room_id = $2
"""

SET_POINTER: Final = """
    INSERT INTO memberships (user_id, room_id, membership, room_position, position, forgotten)
    VALUES ($1, $2, $3, $4, $5, 0)
    ON CONFLICT (user_id, room_id) DO UPDATE
        SET membership = excluded.membership, room_position = excluded.room_position,
            position = excluded.position, forgotten = 0
        WHERE memberships.room_position < excluded.room_position
"""

FORGET: Final = """
    UPDATE memberships SET forgotten = 1, position = $1
    WHERE user_id = $2 AND room_id = $3 AND forgotten = 0 AND membership IN ('leave', 'ban')
"""


@dataclass(frozen=True, slots=True)
class SentRow:
    """An event that was sent with a transaction id."""

    id: int
    key: TransactionKey
    event_id: EventId
    ts: int


@dataclass(frozen=True, slots=True)
class RoomRow:
    """What never changes of a room."""

    room_id: RoomId
    version: str
    creator: UserId


def short_hash(event_hash: bytes) -> int:
    """The integer by which an event is found: the first 8 bytes of its hash, signed."""
    return int.from_bytes(event_hash[:8], "big", signed=True)


def pack_positions(positions: Sequence[int]) -> bytes:
    """Positions of auth events as they lie in a row."""
    return struct.pack(f">{len(positions)}q", *positions)


def unpack_positions(packed: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(packed) // 8}q", packed)


async def _events_of_many(rows: Sequence[Row]) -> list[Event]:
    """Events from rows that may be thousands: others have their turn of the loop in between."""
    events: list[Event] = []
    for first in range(0, len(rows), _ROWS_PER_SLICE):
        if first:
            await asyncio.sleep(0)
        events += [event_of_row(row) for row in rows[first : first + _ROWS_PER_SLICE]]
    return events


def event_of_row(row: Row) -> Event:
    """An event from the columns of `_COLUMNS`."""
    (
        room,
        position,
        type_,
        state_key,
        sender,
        ts,
        event_hash,
        prev,
        replaces,
        redacts,
        redacted_by,
        txn_device,
        txn_id,
        content,
    ) = row
    event_id = event_id_of(event_hash)
    named = EventId(redacts) if redacts is not None and not redacted_by else None
    content = served_content(content, named)
    return Event(
        key=room,
        position=position,
        event_id=event_id,
        type=type_,
        state_key=state_key,
        sender=UserId(sender),
        ts=ts,
        base=base_bytes(
            content=content,
            event_id=event_id,
            ts=ts,
            sender=UserId(sender),
            type_=type_,
            state_key=state_key,
            redacts=named,
        ),
        content_size=len(content),
        prev=prev,
        replaces=replaces,
        redacts=redacts,
        redacted_by=redacted_by,
        txn_device=txn_device,
        txn_id=txn_id,
    )


async def fetch_room(reader: Reader, room: int) -> RoomRow | None:
    row = await reader.fetch_one(_ROOM, room)
    return RoomRow(RoomId(row[0]), row[1], UserId(row[2])) if row else None


async def fetch_rooms(reader: Reader, keys: Sequence[int]) -> dict[int, tuple[RoomRow, int]]:
    """Rooms by their keys, each with the position of its newest entry."""
    rows = await reader.fetch_all(_ROOMS_BY_KEYS, list(keys))
    return {
        row[0]: (RoomRow(RoomId(row[1]), row[2], UserId(row[3])), max(row[4] or 0, row[5] or 0))
        for row in rows
    }


async def fetch_head(reader: Reader, room: int) -> tuple[Event, int] | None:
    """The newest event and its depth."""
    row = await reader.fetch_one(_HEAD, room)
    return (event_of_row(row[1:]), row[0]) if row else None


async def last_note_position(reader: Reader, room: int) -> int:
    row = await reader.fetch_one(_LAST_NOTE, room)
    return row[0] if row else 0


async def current_state_event(
    reader: Reader, room: int, type_: str, state_key: str
) -> Event | None:
    row = await reader.fetch_one(_CURRENT, room, type_, state_key)
    return event_of_row(row) if row else None


async def current_state_of_types(reader: Reader, room: int, types: Sequence[str]) -> list[Event]:
    """The current state events of these types with the empty state key."""
    return [event_of_row(r) for r in await reader.fetch_all(_CURRENT_BY_TYPES, room, list(types))]


async def states_of_types(reader: Reader, keys: Sequence[int], types: Sequence[str]) -> list[Event]:
    """The current state events of these types with the empty state key, of several rooms."""
    rows = await reader.fetch_all(_STATES_OF_TYPES, list(keys), list(types))
    return [event_of_row(row) for row in rows]


async def encrypted_rooms(reader: Reader, keys: Sequence[int]) -> list[int]:
    """The keys of those of the rooms that are encrypted."""
    return [row[0] for row in await reader.fetch_all(_ENCRYPTED, list(keys))]


async def current_members(reader: Reader, room: int, users: Sequence[str]) -> list[Event]:
    """The current member events of these people."""
    return [event_of_row(r) for r in await reader.fetch_all(_CURRENT_MEMBERS, room, list(users))]


async def member_counts(reader: Reader, room: int) -> tuple[int, int]:
    """How many are joined and invited."""
    counts = {row[0]: row[1] for row in await reader.fetch_all(_COUNTS, room)}
    return counts.get("join", 0), counts.get("invite", 0)


async def member_ids(reader: Reader, room: int, membership: str, limit: int) -> list[UserId]:
    """People with this membership, in the order of their ids."""
    return [UserId(r[0]) for r in await reader.fetch_all(_MEMBER_IDS, room, membership, limit)]


async def event_by_id(reader: Reader, room: int, event_id: EventId) -> Event | None:
    """An event of this room, whoever may see it."""
    try:
        event_hash = hash_in(event_id)
    except InvalidParam:
        return None
    for row in await reader.fetch_all(_BY_HASH, short_hash(event_hash)):
        if row[6] == event_hash and row[0] == room:
            return event_of_row(row)
    return None


async def events_at(reader: Reader, room: int, positions: Sequence[int]) -> dict[int, Event]:
    """The events at these positions, by position."""
    if not positions:
        return {}
    rows = await reader.fetch_all(_BY_POSITIONS, room, list(positions))
    return {row[1]: event_of_row(row) for row in rows}


async def events_backwards(
    reader: Reader, room: int, *, up_to: int, after: int, limit: int
) -> list[Event]:
    """Events with `after < position <= up_to`, newest first."""
    return [event_of_row(r) for r in await reader.fetch_all(_BACKWARDS, room, up_to, after, limit)]


async def events_forwards(
    reader: Reader, room: int, *, after: int, up_to: int, limit: int
) -> list[Event]:
    """Events with `after < position <= up_to`, oldest first."""
    return [event_of_row(r) for r in await reader.fetch_all(_FORWARDS, room, after, up_to, limit)]


async def state_at(reader: Reader, room: int, position: int) -> list[Event]:
    """The whole state after the event at a position."""
    return await _events_of_many(await reader.fetch_all(_STATE_AT, room, position))


async def all_members(reader: Reader, room: int) -> list[Event]:
    """The current member events of a room, of those who left too."""
    return await _events_of_many(await reader.fetch_all(_MEMBERS_NOW, room))


async def all_members_at(reader: Reader, room: int, position: int) -> list[Event]:
    """The member events of a room as they stood after the event at a position."""
    return await _events_of_many(await reader.fetch_all(_MEMBERS_AT, room, position))


async def state_key_at(
    reader: Reader, room: int, type_: str, state_key: str, position: int
) -> Event | None:
    row = await reader.fetch_one(_STATE_KEY_AT, room, type_, state_key, position)
    return event_of_row(row) if row else None


async def state_between(reader: Reader, room: int, after: int, up_to: int) -> list[Event]:
    """State events with `after < position <= up_to`, oldest first."""
    return [event_of_row(r) for r in await reader.fetch_all(_STATE_BETWEEN, room, after, up_to)]


async def history_of_key(
    reader: Reader, room: int, type_: str, state_key: str, up_to: int, field: str
) -> list[tuple[int, Any]]:
    """How one field of a state event's content changed: (position, value), oldest first."""
    rows = await reader.fetch_all(_HISTORY_OF_KEY, room, type_, state_key, up_to)
    return [(row[0], orjson.loads(row[1]).get(field)) for row in rows]


async def timelines(
    reader: Reader, keys: Sequence[int], after: Sequence[int], up_to: Sequence[int], limit: int
) -> list[Event]:
    """The newest `limit` events of each room with `after < position <= up_to`, in no order."""
    rows = await reader.fetch_all(_TIMELINES, list(keys), list(after), list(up_to), limit)
    return await _events_of_many(rows)


async def events_at_places(reader: Reader, places: Sequence[tuple[int, int]]) -> list[Event]:
    """The events at these (room, position)."""
    if not places:
        return []
    keys, positions = zip(*places, strict=True)
    rows = await reader.fetch_all(_AT_PLACES, list(keys), list(positions))
    return await _events_of_many(rows)


async def sights(
    reader: Reader, keys: Sequence[int], user_id: UserId
) -> list[tuple[int, str, int, bytes]]:
    """(room, type, position, content) of all visibility changes of these rooms and of all of the
    person's own member events, oldest first.
    """
    return [(r[0], r[1], r[2], r[3]) for r in await reader.fetch_all(_SIGHTS, list(keys), user_id)]


async def current_states(reader: Reader, keys: Sequence[int], *, members: bool) -> list[Event]:
    """The current state of several rooms, with or without their members."""
    rows = await reader.fetch_all(_STATES, list(keys), int(members))
    return await _events_of_many(rows)


async def current_of_type(reader: Reader, room: int, type_: str, limit: int) -> list[Event]:
    """The current state events of a type, of every key, those that stand longest first."""
    return [event_of_row(r) for r in await reader.fetch_all(_CURRENT_OF_TYPE, room, type_, limit)]


async def time_from(reader: Reader, room: int, position: int) -> tuple[int, int] | None:
    """(position, ts) of the first event at a position or after it."""
    row = await reader.fetch_one(_TIME_FROM, room, position)
    return (row[0], row[1]) if row else None


async def members_of_rooms(reader: Reader, wanted: Sequence[tuple[int, str]]) -> list[Event]:
    """The current member events of these (room, person)."""
    if not wanted:
        return []
    keys, users = zip(*wanted, strict=True)
    rows = await reader.fetch_all(_MEMBERS_OF_ROOMS, list(keys), list(users))
    return [event_of_row(row) for row in rows]


async def members_at_places(reader: Reader, wanted: Sequence[tuple[int, str, int]]) -> list[Event]:
    """The member events of these (room, person), each as it stood at a position."""
    if not wanted:
        return []
    keys, users, places = zip(*wanted, strict=True)
    rows = await reader.fetch_all(_MEMBERS_AT_PLACES, list(keys), list(users), list(places))
    return [event_of_row(row) for row in rows]


async def counts_of_rooms(reader: Reader, keys: Sequence[int]) -> dict[int, tuple[int, int]]:
    """How many are joined and invited, for each room."""
    counts = dict.fromkeys(keys, (0, 0))
    for room, membership, number in await reader.fetch_all(_COUNTS_OF_ROOMS, list(keys)):
        joined, invited = counts[room]
        counts[room] = (number, invited) if membership == "join" else (joined, number)
    return counts


async def heroes_of_rooms(
    reader: Reader, keys: Sequence[int], but: UserId, limit: int
) -> dict[int, list[UserId]]:
    """The first members of each room beside one person, those of longest standing first. Where
    nobody else is, those who were.
    """
    heroes: dict[int, list[UserId]] = {key: [] for key in keys}
    for statement in (_HEROES_OF_ROOMS, _FORMER_HEROES_OF_ROOMS):
        without = [key for key in keys if not heroes[key]]
        if without:
            for row in await reader.fetch_all(statement, without, but, limit):
                heroes[row[0]].append(UserId(row[1]))
    return heroes


async def names_of_rooms(reader: Reader, keys: Sequence[int]) -> list[tuple[int, bytes]]:
    """The content of each room's name and main alias, where it has them."""
    return [(row[0], bytes(row[1])) for row in await reader.fetch_all(_NAMES_OF_ROOMS, list(keys))]


async def joined_somewhere(
    reader: Reader, keys: Sequence[int], users: Sequence[str]
) -> set[UserId]:
    """Those of the people who are joined to at least one of the rooms."""
    if not keys or not users:
        return set()
    rows = await reader.fetch_all(_WHERE_JOINED, list(keys), list(users))
    return {UserId(row[0]) for row in rows}


async def notes_between(reader: Reader, room: int, after: int, up_to: int) -> list[DeviceNote]:
    rows = await reader.fetch_all(_NOTES_BETWEEN, room, after, up_to)
    return [DeviceNote(room, row[0], UserId(row[1])) for row in rows]


async def member_events_of_stream(
    reader: Reader, after_id: int, up_to_id: int, limit: int
) -> list[tuple[int, RoomId, int, UserId, str]]:
    """(row id, room, position, whose, membership) of a stream's member events, in order."""
    rows = await reader.fetch_all(_MEMBER_EVENTS_OF_STREAM, after_id, up_to_id, limit)
    return [
        (r[0], RoomId(r[1]), r[2], UserId(r[3]), orjson.loads(r[4]).get("membership")) for r in rows
    ]


async def recent_transactions(
    reader: Reader, after_id: int, before_id: int, limit: int
) -> list[SentRow]:
    """Events of a stream that were sent with a transaction id, newest first.

    They stay in memory, and a device has sent many of them: its names are there once.
    """
    rows = await reader.fetch_all(_RECENT_TRANSACTIONS, after_id, before_id, limit)
    return [
        SentRow(
            r[0],
            TransactionKey(UserId(intern(r[2])), intern(r[3]), r[1], r[4][:1], r[4][1:]),
            event_id_of(r[5]),
            r[6],
        )
        for r in rows
    ]


async def older_transaction(reader: Reader, scope_hash: int, *, after_ms: int) -> EventId | None:
    """The event of a transaction that is no longer in memory, if it was made after a time."""
    row = await reader.fetch_one(_OLDER_TRANSACTION, scope_hash, after_ms)
    return event_id_of(row[0]) if row else None


async def indexed_transactions(reader: Reader, after: int, limit: int) -> list[int]:
    """The scope hashes of the index, in order."""
    return [row[0] for row in await reader.fetch_all(_INDEXED, after, limit)]


async def room_cursor(reader: Reader, consumer: str, source: int, target: int) -> int:
    row = await reader.fetch_one(_ROOM_CURSOR, consumer, source, target)
    return row[0] if row else 0


async def rows_to_index(reader: Reader, after_id: int, up_to_id: int, limit: int) -> list[Row]:
    """(id, room, sender, device, transaction id, hash, ts) of a stream's events, oldest first."""
    return await reader.fetch_all(_OLD_TRANSACTIONS, after_id, up_to_id, limit)


async def pointers_of(reader: Reader, user_id: UserId) -> list[Pointer]:
    return [_pointer(row) for row in await reader.fetch_all(_POINTERS, user_id)]


async def pointer_of(reader: Reader, user_id: UserId, room_id: RoomId) -> Pointer | None:
    row = await reader.fetch_one(_POINTER, user_id, room_id)
    return _pointer(row) if row else None


def _pointer(row: Row) -> Pointer:
    return Pointer(RoomId(row[0]), row[1], row[2], row[3], bool(row[4]))
