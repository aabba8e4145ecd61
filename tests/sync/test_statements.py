"""How many statements an answer costs: what changed counts, not how many rooms somebody is in."""

from collections.abc import Awaitable, Callable

import orjson

from tests.world import Person, World

LAZY = orjson.dumps({"room": {"state": {"lazy_load_members": True}}}).decode()

FIRST_SYNC_MAX = 12


async def statements_of(world: World, deed: Callable[[], Awaitable[object]]) -> int:
    before = world.here.database.statements
    await deed()
    return world.here.database.statements - before


async def rooms_of(world: World, ada: Person, boris: Person, count: int) -> list[str]:
    rooms = [await world.room(ada, boris, name=f"room {n}") for n in range(count)]
    for room in rooms:
        await ada.phone.says(room, "hello")
    await world.services.settled()
    return rooms


async def test_a_first_sync_costs_no_more_with_more_rooms(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    await rooms_of(world, ada, boris, 2)
    few = await statements_of(world, lambda: boris.phone.syncs(since=None, filter=LAZY))

    await rooms_of(world, ada, boris, 10)
    laptop = await world.another_device(boris)
    await laptop.ask("GET", "/_matrix/client/v3/account/whoami")
    many = await statements_of(world, lambda: laptop.syncs(since=None, filter=LAZY))

    assert many <= max(few, FIRST_SYNC_MAX)
    assert many <= FIRST_SYNC_MAX


async def test_a_live_sync_asks_the_database_nothing(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    (room,) = await rooms_of(world, ada, boris, 1)
    await boris.phone.syncs(filter=LAZY)
    await boris.phone.syncs(filter=LAZY)
    await ada.phone.says(room, "warm")
    await boris.phone.syncs(filter=LAZY)

    await ada.phone.says(room, "news")

    assert await statements_of(world, lambda: boris.phone.syncs(filter=LAZY)) == 0
