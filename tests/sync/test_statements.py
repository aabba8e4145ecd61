"""How many statements an answer costs: what changed counts, not how many rooms somebody is in."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import orjson
import pytest

from posthouse.storage import Database, Owner, Reader, Row, Statement
from tests.databases import Place
from tests.world import Person, World, world_at

TIMELINE = 5
LAZY = orjson.dumps(
    {"room": {"state": {"lazy_load_members": True}, "timeline": {"limit": TIMELINE}}}
).decode()

FIRST_SYNC_MAX = 12


class Counted:
    """A database that counts what is read from it outside of transactions, where others write."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def reader(self, *, of: Owner) -> Reader:
        return _CountedReader(self, self._database.reader(of=of))


class _CountedReader:
    def __init__(self, counted: Counted, reader: Reader) -> None:
        self._counted = counted
        self._reader = reader

    async def fetch_one(self, statement: Statement, *args: Any) -> Row | None:
        self._counted.reads += 1
        return await self._reader.fetch_one(statement, *args)

    async def fetch_all(self, statement: Statement, *args: Any) -> list[Row]:
        self._counted.reads += 1
        return await self._reader.fetch_all(statement, *args)


@pytest.fixture
async def world(place: Place) -> AsyncIterator[World]:
    def wrap(database: Database) -> Database:
        counted: Any = Counted(database)
        return counted  # type: ignore[no-any-return]  # It hands everything else on.

    async with world_at(place, room_streams=4, user_streams=2, wrap=wrap) as running:
        yield running


async def reads_of(world: World, deed: Callable[[], Awaitable[object]]) -> int:
    counted: Any = world.here.database
    before = counted.reads
    await deed()
    return int(counted.reads - before)


async def rooms_of(world: World, ada: Person, boris: Person, count: int) -> list[str]:
    """Half of them have a name; their timelines are longer than an answer shows."""
    rooms = []
    for n in range(count):
        wish = {"name": f"room {n}"} if n % 2 else {}
        rooms.append(await world.room(ada, boris, **wish))
    for room in rooms:
        for k in range(TIMELINE + 2):
            await ada.phone.says(room, f"hello {k}")
    await world.services.settled()
    return rooms


async def test_a_first_sync_costs_no_more_with_more_rooms(world: World) -> None:
    """On a server that was just started, so that it has nothing of them in memory."""
    ada, boris = await world.person("ada"), await world.person("boris")
    costs = []

    for more in (2, 10):
        await rooms_of(world, ada, boris, more)
        laptop = await world.another_device(boris)
        await world.restart()
        await world.services.settled()
        await laptop.ask("GET", "/_matrix/client/v3/account/whoami")
        costs.append(await reads_of(world, partial(laptop.syncs, since=None, filter=LAZY)))

    assert costs[1] <= costs[0] <= FIRST_SYNC_MAX


async def test_a_live_sync_asks_the_database_nothing(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    (room,) = await rooms_of(world, ada, boris, 1)
    await boris.phone.syncs(filter=LAZY)
    await boris.phone.syncs(filter=LAZY)
    await ada.phone.says(room, "warm")
    await boris.phone.syncs(filter=LAZY)

    await ada.phone.says(room, "news")

    assert await reads_of(world, lambda: boris.phone.syncs(filter=LAZY)) == 0


async def test_a_first_sync_costs_no_more_with_more_invites(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    costs = []

    for more in (2, 10):
        for _ in range(more):
            await ada.phone.creates(invite=[boris.user_id])
        await world.services.settled()
        await boris.phone.ask("GET", "/_matrix/client/v3/account/whoami")
        costs.append(await reads_of(world, partial(boris.phone.syncs, since=None, filter=LAZY)))

    assert costs[1] <= costs[0] <= FIRST_SYNC_MAX


async def test_a_departure_costs_no_more_with_more_rooms(world: World) -> None:
    """Whether somebody who left a room is still met in another is asked once, of all of them."""
    ada, boris = await world.person("ada"), await world.person("boris")
    encryption = {
        "type": "m.room.encryption",
        "state_key": "",
        "content": {"algorithm": "m.megolm.v1.aes-sha2"},
    }
    costs = []

    for more in (2, 10):
        rooms = [await world.room(boris, initial_state=[encryption]) for _ in range(more)]
        await ada.phone.joins(rooms[0])
        await boris.phone.syncs()
        await world.restart()
        await world.services.settled()
        await ada.phone.leaves(rooms[0])
        answers: list[Any] = []

        async def sync(answers: list[Any] = answers) -> None:
            answers.append(await boris.phone.syncs())

        await boris.phone.ask("GET", "/_matrix/client/v3/account/whoami")
        costs.append(await reads_of(world, sync))
        assert answers[0]["device_lists"]["left"] == [ada.user_id]

    assert costs[1] <= costs[0]
