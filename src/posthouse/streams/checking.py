"""What `posthouse check` asks of the streams' own tables."""

from collections.abc import AsyncIterator
from typing import Final

from posthouse.storage import Owner, Reader
from posthouse.streams.levels import position_of
from posthouse.streams.store import StreamRow

_ALL: Final = "SELECT stream, epoch, head, touched, start FROM {table} ORDER BY stream"
_PURGED: Final = """
    SELECT stream, from_position, to_position FROM {table} ORDER BY stream, from_position
"""
_ENTRIES_BEYOND: Final = """
    SELECT id, user_id, position FROM user_entries ORDER BY id DESC LIMIT 1
"""
_ENTRIES_ASKEW: Final = """
    SELECT id, user_id, position FROM user_entries WHERE id % 1099511627776 <> position LIMIT 20
"""


async def all_streams(reader: Reader, owner: Owner) -> list[StreamRow]:
    """Every stream of a kind, those retired by a split included."""
    rows = await reader.fetch_all(_ALL.format(table=f"{owner.value}_streams"))
    return [StreamRow(*row) for row in rows]


async def purged_ranges(reader: Reader, owner: Owner) -> dict[int, list[tuple[int, int]]]:
    """The ranges of each stream whose rows are gone, in order."""
    ranges: dict[int, list[tuple[int, int]]] = {}
    for stream, first, last in await reader.fetch_all(
        _PURGED.format(table=f"{owner.value}_purged")
    ):
        ranges.setdefault(stream, []).append((first, last))
    return ranges


async def check_user_streams(reader: Reader) -> AsyncIterator[str]:
    """Sentences about what is wrong with the log of people."""
    heads = {row.stream: row.head for row in await all_streams(reader, Owner.USER)}
    for row_id, user_id, position in await reader.fetch_all(_ENTRIES_ASKEW):
        yield f"user_entries: row {row_id} of {user_id} says position {position}."
    row = await reader.fetch_one(_ENTRIES_BEYOND)
    if row is not None:
        stream = row[0] >> 40
        head = heads.get(stream)
        if head is None:
            yield f"user_entries: row {row[0]} is of stream {stream}, which doesn't exist."
        elif position_of(row[0]) > head:
            yield f"user_entries: row {row[0]} stands after the head {head} of stream {stream}."
