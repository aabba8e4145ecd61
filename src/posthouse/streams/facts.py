"""What the server knows of itself, kept in the global database from the first start.

The generation is random and names this copy of the data: tokens carry it, and a restored copy gets
a new one, so that tokens of what was lost are noticed. The counts of streams are those of the last
split.
"""

from dataclasses import dataclass
from typing import Final

from posthouse.std.clock import Randomness
from posthouse.storage import Database, Owner, Transaction
from posthouse.streams.levels import StreamMap, level_of_count
from posthouse.streams.room_streams import ROOM_TABLE
from posthouse.streams.store import StreamTable
from posthouse.streams.user_streams import USER_TABLE

_GET: Final = "SELECT value FROM server_facts WHERE key = $1"
_SET: Final = """
    INSERT INTO server_facts (key, value) VALUES ($1, $2)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""

_RECORD_PURGE: Final = """
    INSERT INTO {table} (stream, from_position, to_position, reason) VALUES ($1, $2, $3, $4)
"""

HEADS_JUMP: Final = 1 << 24
"""How far a new generation moves every head: beyond what the lost copy can have reached."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """Facts that outlive a process."""

    server_name: str
    generation: int
    rooms: StreamMap
    users: StreamMap


async def fact(database: Database, key: str) -> str | None:
    """One fact, by its key."""
    row = await database.reader(of=Owner.GLOBAL).fetch_one(_GET, key)
    return row[0] if row else None


async def set_fact(database: Database, key: str, value: str) -> None:
    async with database.transaction(of=Owner.GLOBAL) as tx:
        await tx.execute(_SET, key, value)


async def load_facts(
    database: Database,
    random: Randomness,
    *,
    server_name: str,
    room_streams: int,
    user_streams: int,
) -> ServerFacts:
    """Reads the facts; at the first start, writes them and makes the streams.

    The counts are those wanted of a new database: an existing one keeps its own until a split.
    """
    found = await fact(database, "server_name")
    if found is None:
        # The name comes last: a start that is cut short begins again.
        await _make_streams(database, level_of_count(room_streams), level_of_count(user_streams))
        await set_fact(database, "generation", str(_new_generation(random)))
        await set_fact(database, "server_name", server_name)
        found = server_name
    generation = await fact(database, "generation")
    if generation is None:
        raise LookupError("the database has no generation")
    return ServerFacts(
        server_name=found,
        generation=int(generation),
        rooms=StreamMap(level_of_count(len(await ROOM_TABLE.live(database.reader(of=Owner.ROOM))))),
        users=StreamMap(level_of_count(len(await USER_TABLE.live(database.reader(of=Owner.USER))))),
    )


async def begin_generation(database: Database, random: Randomness) -> None:
    """Makes this copy of the data a new one: for a restored backup or a lossy failover.

    The heads jump forward, so that no position of the lost copy is given out again.
    """
    await set_fact(database, "generation", str(_new_generation(random)))
    async with database.transaction(of=Owner.ROOM) as tx:
        await _jump(tx, ROOM_TABLE, "room_purged")
    async with database.transaction(of=Owner.USER) as tx:
        await _jump(tx, USER_TABLE, "user_purged")


async def _jump(tx: Transaction, table: StreamTable, purged: str) -> None:
    """Moves the heads; the positions jumped over are recorded as gone."""
    for row in await table.live(tx):
        await tx.execute(
            _RECORD_PURGE.format(table=purged),
            row.stream,
            row.head + 1,
            row.head + HEADS_JUMP,
            "new generation",
        )
    await table.jump(tx, HEADS_JUMP)


async def _make_streams(database: Database, room_level: int, user_level: int) -> None:
    async with database.transaction(of=Owner.ROOM) as tx:
        await _make(tx, ROOM_TABLE, room_level)
    async with database.transaction(of=Owner.USER) as tx:
        await _make(tx, USER_TABLE, user_level)


async def _make(tx: Transaction, table: StreamTable, level: int) -> None:
    for stream in StreamMap(level).ids:
        if await table.read(tx, stream) is None:
            await table.create(tx, stream, head=0, touched=0)


def _new_generation(random: Randomness) -> int:
    return int.from_bytes(random.token_bytes(4), "big") >> 1
