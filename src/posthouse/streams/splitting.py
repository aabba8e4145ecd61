"""Splitting streams: more writers for the same rooms and people, with every token still valid.

Done on data that no server is running on, after every consumer has come to the end of its streams:
what a parent's consumer had not read would be read by nobody.
"""

from typing import Final

from posthouse.storage import Database, Owner, Transaction
from posthouse.streams.levels import level_of_count
from posthouse.streams.room_streams import ROOM_TABLE
from posthouse.streams.store import StreamTable
from posthouse.streams.user_streams import USER_TABLE

_COPY_CURSORS: Final = """
    INSERT INTO user_cursors (consumer, source, target, position)
    SELECT consumer, source, $1, position FROM user_cursors WHERE target = $2
    ON CONFLICT (consumer, source, target) DO NOTHING
"""


class CannotSplit(Exception):
    """The counts asked for can't be had; says why."""


async def split_streams(database: Database, *, room_streams: int, user_streams: int) -> None:
    """Splits until there are so many of each kind; what is there already stays.

    Each kind is one transaction: cut short, it is done again. Raises CannotSplit for counts that
    are no power of two or lower than today's.
    """
    try:
        room_level, user_level = level_of_count(room_streams), level_of_count(user_streams)
    except ValueError as error:
        raise CannotSplit(str(error)) from error
    async with database.transaction(of=Owner.ROOM) as tx:
        await _split(tx, ROOM_TABLE, room_level)
    async with database.transaction(of=Owner.USER) as tx:
        for parent, child in await _split(tx, USER_TABLE, user_level):
            await tx.execute(_COPY_CURSORS, child, parent)


async def _split(tx: Transaction, table: StreamTable, level: int) -> list[tuple[int, int]]:
    """Retires today's streams and makes their descendants; returns (ancestor, descendant)."""
    live = await table.live(tx)
    today = level_of_count(len(live))
    if level < today:
        raise CannotSplit(f"There are {1 << today} streams already, and streams are never joined.")
    if level == today:
        return []
    made: list[tuple[int, int]] = []
    steps = level - today
    for row in live:
        await table.retire(tx, row.stream)
        for child in range(row.stream << steps, (row.stream + 1) << steps):
            await table.create(tx, child, head=row.head, touched=row.touched)
            made.append((row.stream, child))
    return made
