"""5,000 to-device messages wait for somebody who comes online: fetched once each, in order."""

import re

from tests.bench.load import Figures
from tests.bench.scenarios.crowd import Crowd, run, spread
from tests.bench.servers import BenchServer

_NUMBER = re.compile(rb'"body":"pending (\d+)')


def measure(server: BenchServer, scale: float) -> Figures:
    return run(_measure(server, max(500, int(5_000 * scale))))


async def _measure(server: BenchServer, count: int) -> Figures:
    crowd = Crowd(server)
    await crowd.state.check(crowd.api)
    sender, receiver = await crowd.state.users(crowd.api, "pending", 2)
    tools = crowd.tools
    run_ = tools.new_run().decode()
    connection = crowd.connection()
    since, _ = await crowd.sync(connection, receiver, None)

    async def send(k: int) -> None:
        content = {"algorithm": "m.olm.v1", "body": f"pending {k} " + "A" * 600}
        await crowd.api(
            "PUT",
            f"{tools.V3}/sendToDevice/m.room.encrypted/{run_}{k}",
            {"messages": {receiver["id"]: {receiver["device"]: content}}},
            sender["token"],
        )

    await spread(send, range(count), 8)
    server.restart()
    before, start = crowd.cpu_s(), tools.now_ns()
    got: list[int] = []
    syncs = 0
    while syncs < count:
        since, body = await crowd.sync(connection, receiver, since)
        numbers = [int(number) for number in _NUMBER.findall(body)]
        syncs += 1
        got += numbers
        if not numbers:
            break
    used, took = crowd.cpu_s() - before, (tools.now_ns() - start) / 1e6
    connection.close()
    return {
        "messages": count,
        "wrong": abs(len(got) - count) + len(got) - len(set(got)),
        "syncs": syncs,
        "cpu_s": round(used, 3),
        "ms": round(took, 1),
    }
