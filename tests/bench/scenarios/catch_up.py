"""Catch-up after a week: one sync from an old token, on a server that remembers nothing of then.

200 rooms in which 50 messages were written meanwhile.
"""

import re

from tests.bench.load import Figures
from tests.bench.scenarios.crowd import Crowd, run, spread
from tests.bench.servers import BenchServer

MESSAGES = 50


def measure(server: BenchServer, scale: float) -> Figures:
    return run(_measure(server, max(20, int(200 * scale))))


async def _measure(server: BenchServer, count: int) -> Figures:
    crowd = Crowd(server)
    await crowd.state.check(crowd.api)
    ada, boris = await crowd.state.users(crowd.api, "week", 2)
    tools = crowd.tools

    async def make(_: int) -> str:
        room: str = await tools.create_room(crowd.api, ada)
        await crowd.api("POST", f"{tools.V3}/join/{tools.quote(room)}", {}, boris["token"])
        return room

    rooms = await spread(make, range(count), 8)
    senders = [crowd.connection() for _ in range(16)]
    since, _ = await crowd.sync(senders[0], boris, None)

    async def write(k: int) -> None:
        for n in range(k, len(rooms) * MESSAGES, len(senders)):
            await crowd.send(senders[k], ada, rooms[n % len(rooms)], f"w{since[:8]}{n}", n)

    await spread(write, range(len(senders)))
    for sender in senders:
        sender.close()
    runs = []
    for _ in range(3):
        server.restart()
        connection = crowd.connection()
        await connection.request("GET", "/_matrix/client/versions")
        before, start = crowd.cpu_s(), tools.now_ns()
        _, body = await crowd.sync(connection, boris, since)
        runs.append((round(crowd.cpu_s() - before, 3), (tools.now_ns() - start) / 1e6))
        connection.close()
    return {
        "rooms": count,
        "cpu_s": min(cpu for cpu, _ in runs),
        "first_ms": round(runs[0][1], 1),
        "kilobytes": round(len(body) / 1000, 1),
        "events": len(re.findall(rb'"event_id"', body)),
    }
