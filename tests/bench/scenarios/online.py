"""A person online with 50 rooms: what they add to the server's memory.

Rooms of ten, shared as people share them: what a room takes is divided among its members. The
server is a fresh one, and everybody comes with a token, as after a restart.
"""

import asyncio

from tests.bench.load import Figures
from tests.bench.scenarios.crowd import Crowd, run, spread
from tests.bench.servers import BenchServer

ROOMS_EACH = 50
MEMBERS = 10


def measure(server: BenchServer, scale: float) -> Figures:
    return run(_measure(server, max(20, int(100 * scale) // 10 * 10)))


async def _measure(server: BenchServer, count: int) -> Figures:
    crowd = Crowd(server)
    await crowd.state.check(crowd.api)
    users = await crowd.state.users(crowd.api, "online", count)
    await spread(lambda k: _make_room(crowd, users, k), range(count * ROOMS_EACH // MEMBERS), 8)
    warm = crowd.connection()
    tokens = [(await crowd.sync(warm, user, None))[0] for user in users]
    warm.close()

    server.restart()
    first = crowd.connection()
    await first.request("GET", "/_matrix/client/versions")
    before = crowd.pss_kib()
    connections = [crowd.connection() for _ in users]
    for connection, user, since in zip(connections, users, tokens, strict=True):
        crowd.poll(connection, user, since, 300_000)
    await asyncio.sleep(5)
    answered = crowd.answered()
    after = crowd.pss_kib()
    await crowd.hang_up()
    for connection in (first, *connections):
        connection.close()
    return {
        "people": count,
        "answered_at_once": answered,
        "pss_before_kib": before,
        "pss_after_kib": after,
        "kib_per_person": round((after - before) / count, 1),
    }


async def _make_room(crowd: Crowd, users: list[dict[str, str]], number: int) -> None:
    """Its members stand apart by a number that changes with each round through everybody."""
    count = len(users)
    round_, place = divmod(number * MEMBERS, count)
    step = 2 * round_ + 1
    members = list(dict.fromkeys((place + k * step) % count for k in range(MEMBERS)))
    members += [k for k in range(count) if k not in members][: MEMBERS - len(members)]
    owner = users[members[0]]
    room = await crowd.tools.create_room(crowd.api, owner)
    for k in members[1:]:
        path = f"{crowd.tools.V3}/join/{crowd.tools.quote(room)}"
        await crowd.api("POST", path, {}, users[k]["token"])
