"""10,000 reconnects in 10 s: a server that was just restarted, and everybody is back.

Each connection asks for what it missed and then waits, as clients do; at the end one message goes
to a room, and everybody there must hear it.
"""

import asyncio
from typing import Any

from tests.bench.load import Figures
from tests.bench.scenarios.crowd import Crowd, run, spread
from tests.bench.servers import BenchServer

SECONDS = 10.0
PEOPLE = 1_000


def measure(server: BenchServer, scale: float) -> Figures:
    return run(_measure(server, max(1_000, int(10_000 * scale))))


async def _measure(server: BenchServer, count: int) -> Figures:
    crowd = Crowd(server)
    await crowd.state.check(crowd.api)
    users, rooms = await crowd.state.small_rooms(crowd.api, PEOPLE)
    warm = [crowd.connection() for _ in range(8)]
    tokens = await spread(
        lambda k: crowd.sync(warm[k % 8], users[k], None), list(range(PEOPLE)), width=1
    )
    for connection in warm:
        connection.close()

    server.restart()
    connections = [crowd.connection() for _ in range(count)]
    latencies: list[int] = []
    failed = 0

    async def come_back(k: int) -> None:
        nonlocal failed
        user, since = users[k % PEOPLE], tokens[k % PEOPLE][0]
        await asyncio.sleep(k * SECONDS / count)
        start = crowd.tools.now_ns()
        try:
            since, _ = await crowd.sync(connections[k], user, since)
        except (OSError, RuntimeError):
            failed += 1
            return
        latencies.append(crowd.tools.now_ns() - start)
        crowd.poll(connections[k], user, since, 120_000)

    before = crowd.cpu_s()
    await asyncio.gather(*map(come_back, range(count)))
    await asyncio.sleep(1)
    used = crowd.cpu_s() - before
    heard = await _everybody_hears(crowd, users[0], rooms[0])
    await crowd.hang_up()
    for connection in connections:
        connection.close()
    return {
        "connections": count,
        "failed": failed + (count // PEOPLE * 10 - heard),
        "cpu_s": round(used, 2),
        "ms": crowd.tools.pct(latencies),
        "heard": heard,
    }


async def _everybody_hears(crowd: Crowd, sender: Any, room: str) -> int:
    """How many polls a message to a room of ten has answered."""
    connection = crowd.connection()
    await crowd.send(connection, sender, room, f"back{crowd.tools.now_ns()}")
    await asyncio.sleep(2)
    connection.close()
    return crowd.answered()
