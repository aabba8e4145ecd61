"""How many statements an answer costs: what changed counts, not how many rooms somebody is in."""

from collections.abc import Awaitable, Callable
from functools import partial

import orjson

from tests.world import Person, World

TIMELINE = 5
LAZY = orjson.dumps(
    {"room": {"state": {"lazy_load_members": True}, "timeline": {"limit": TIMELINE}}}
).decode()

FIRST_SYNC_MAX = 12


async def statements_of(world: World, deed: Callable[[], Awaitable[object]]) -> int:
    before = world.here.database.statements
    await deed()
    return world.here.database.statements - before


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
        await laptop.ask("GET", "/_matrix/client/v3/account/whoami")
        costs.append(await statements_of(world, partial(laptop.syncs, since=None, filter=LAZY)))

    assert costs[1] <= costs[0] <= FIRST_SYNC_MAX


async def test_a_live_sync_asks_the_database_nothing(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    (room,) = await rooms_of(world, ada, boris, 1)
    await boris.phone.syncs(filter=LAZY)
    await boris.phone.syncs(filter=LAZY)
    await ada.phone.says(room, "warm")
    await boris.phone.syncs(filter=LAZY)

    await ada.phone.says(room, "news")

    assert await statements_of(world, lambda: boris.phone.syncs(filter=LAZY)) == 0
