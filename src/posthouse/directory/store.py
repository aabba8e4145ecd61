"""The SQL of the directory's tables."""

from collections.abc import Sequence
from typing import Any, Final

from posthouse.directory.model import Alias, Listing, Place, Search, Way
from posthouse.matrix import RoomAlias, RoomId, UserId
from posthouse.storage import Dialects, Reader, Row, Transaction

_ADD_ALIAS: Final = """
    INSERT INTO room_aliases (alias, room_id, creator, created_ms) VALUES ($1, $2, $3, $4)
    ON CONFLICT (alias) DO NOTHING
    RETURNING alias
"""


async def add_alias(tx: Transaction, alias: Alias) -> bool:
    """False where the name is taken."""
    row = await tx.fetch_one(
        _ADD_ALIAS, alias.alias, alias.room_id, alias.creator, alias.created_ms
    )
    return row is not None


_COUNT_OF_ROOM: Final = "SELECT COUNT(*) FROM room_aliases WHERE room_id = $1"
_COUNT_OF_CREATOR: Final = "SELECT COUNT(*) FROM room_aliases WHERE creator = $1"


async def count_of_room(reader: Reader, room_id: RoomId) -> int:
    return await _number(reader, _COUNT_OF_ROOM, room_id)


async def count_of_creator(reader: Reader, creator: UserId) -> int:
    return await _number(reader, _COUNT_OF_CREATOR, creator)


_ALIAS: Final = "SELECT alias, room_id, creator, created_ms FROM room_aliases WHERE alias = $1"


async def find_alias(reader: Reader, alias: RoomAlias) -> Alias | None:
    row = await reader.fetch_one(_ALIAS, alias)
    return _alias(row) if row else None


_ALIASES_OF_ROOM: Final = """
    SELECT alias, room_id, creator, created_ms FROM room_aliases
    WHERE room_id = $1 ORDER BY created_ms, alias LIMIT $2
"""


async def aliases_of_room(reader: Reader, room_id: RoomId, limit: int) -> list[Alias]:
    """In the order in which they were made."""
    return [_alias(row) for row in await reader.fetch_all(_ALIASES_OF_ROOM, room_id, limit)]


_REMOVE_ALIAS: Final = "DELETE FROM room_aliases WHERE alias = $1 AND room_id = $2"


async def remove_alias(tx: Transaction, alias: RoomAlias, room_id: RoomId) -> bool:
    """Removes a name while it leads to the room; False where it doesn't."""
    return await tx.execute(_REMOVE_ALIAS, alias, room_id) > 0


_MOVE_ALIASES: Final = "UPDATE room_aliases SET room_id = $1 WHERE room_id = $2"


async def move_aliases(tx: Transaction, *, to: RoomId, of: RoomId) -> None:
    await tx.execute(_MOVE_ALIASES, to, of)


_PUBLISH: Final = """
    INSERT INTO published_rooms
        (room_id, room_position, is_shown, joined, room_type, search_text, entry)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (room_id) DO UPDATE
        SET room_position = excluded.room_position, is_shown = excluded.is_shown,
            joined = excluded.joined, room_type = excluded.room_type,
            search_text = excluded.search_text, entry = excluded.entry
        WHERE published_rooms.room_position <= excluded.room_position
"""

_RENEW: Final = """
    UPDATE published_rooms
    SET room_position = $2, is_shown = $3, joined = $4, room_type = $5, search_text = $6, entry = $7
    WHERE room_id = $1 AND room_position <= $2
"""


async def publish(tx: Transaction, listing: Listing) -> None:
    """Puts a room into the list; the WHERE holds invariant 2 of the directory."""
    await tx.execute(_PUBLISH, *_columns_of(listing))


async def renew(tx: Transaction, listing: Listing) -> None:
    """The same for a room that is in the list; one that isn't stays out."""
    await tx.execute(_RENEW, *_columns_of(listing))


_UNPUBLISH: Final = "DELETE FROM published_rooms WHERE room_id = $1"


async def unpublish(tx: Transaction, room_id: RoomId) -> bool:
    """False where it wasn't published."""
    return await tx.execute(_UNPUBLISH, room_id) > 0


_IS_PUBLISHED: Final = "SELECT 1 FROM published_rooms WHERE room_id = $1"


async def is_published(reader: Reader, room_id: RoomId) -> bool:
    return await reader.fetch_one(_IS_PUBLISHED, room_id) is not None


_PUBLISHED_AMONG: Final = Dialects(
    sqlite="""
        SELECT room_id FROM published_rooms WHERE room_id IN (SELECT value FROM json_each($1))
    """,
    postgresql="SELECT room_id FROM published_rooms WHERE room_id = ANY($1::text[])",
)


async def published_among(reader: Reader, rooms: Sequence[RoomId]) -> list[RoomId]:
    return [RoomId(row[0]) for row in await reader.fetch_all(_PUBLISHED_AMONG, list(rooms))]


_PUBLISHED_AFTER: Final = """
    SELECT room_id FROM published_rooms WHERE room_id > $1 ORDER BY room_id LIMIT $2
"""


async def published_after(reader: Reader, room_id: str, limit: int) -> list[RoomId]:
    """All that are published, page by page; shown or not."""
    rows = await reader.fetch_all(_PUBLISHED_AFTER, room_id, limit)
    return [RoomId(row[0]) for row in rows]


_WANTED: Final = Dialects(
    sqlite="""
        is_shown = 1 AND ($1 = '' OR instr(search_text, $1) > 0)
            AND ($2 = 1 OR room_type IN (SELECT value FROM json_each($3)))
    """,
    postgresql="""
        is_shown = 1 AND ($1::text = '' OR strpos(search_text, $1::text) > 0)
            AND ($2::bigint = 1 OR room_type = ANY($3::text[]))
    """,
)


def _of_wanted(before: str, after: str = "") -> Dialects:
    """A statement over the rooms that a search lets through."""
    return Dialects(
        sqlite=f"{before} WHERE {_WANTED.sqlite} {after}",
        postgresql=f"{before} WHERE {_WANTED.postgresql} {after}",
    )


_COLUMNS: Final = (
    "SELECT room_id, room_position, is_shown, joined, room_type, search_text, entry "
    "FROM published_rooms"
)

# Largest first. After a place come smaller rooms, and of the same size those of a later id.
_COUNT: Final = _of_wanted("SELECT COUNT(*) FROM published_rooms")
_FIRST: Final = _of_wanted(_COLUMNS, "ORDER BY joined DESC, room_id LIMIT $4")
_NEXT: Final = _of_wanted(
    _COLUMNS,
    "AND (joined < $5 OR (joined = $5 AND room_id > $6)) ORDER BY joined DESC, room_id LIMIT $4",
)
_PREVIOUS: Final = _of_wanted(
    _COLUMNS,
    "AND (joined > $5 OR (joined = $5 AND room_id < $6)) ORDER BY joined, room_id DESC LIMIT $4",
)


async def count_shown(reader: Reader, search: Search) -> int:
    return await _number(reader, _COUNT, *_arguments(search))


async def page(reader: Reader, search: Search, place: Place | None, limit: int) -> list[Listing]:
    """The rooms that come next on a place's way, the nearest first."""
    given = (*_arguments(search), limit)
    if place is None:
        rows = await reader.fetch_all(_FIRST, *given)
    elif place.way is Way.FORWARDS:
        rows = await reader.fetch_all(_NEXT, *given, place.joined, place.room_id)
    else:
        rows = await reader.fetch_all(_PREVIOUS, *given, place.joined, place.room_id)
    return [_listing(row) for row in rows]


def _arguments(search: Search) -> tuple[str, int, list[str]]:
    types = search.room_types
    return search.term, int(types is None), list(types or ())


async def _number(reader: Reader, statement: str | Dialects, *args: Any) -> int:
    row = await reader.fetch_one(statement, *args)
    return int(row[0]) if row else 0


def _alias(row: Row) -> Alias:
    return Alias(RoomAlias(row[0]), RoomId(row[1]), UserId(row[2]), row[3])


def _columns_of(listing: Listing) -> Row:
    return (
        listing.room_id,
        listing.room_position,
        int(listing.is_shown),
        listing.joined,
        listing.room_type,
        listing.search_text,
        listing.entry,
    )


def _listing(row: Row) -> Listing:
    return Listing(RoomId(row[0]), row[1], bool(row[2]), row[3], row[4], row[5], row[6])
