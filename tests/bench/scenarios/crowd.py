"""What our own scenarios share: people made through the harness, one connection each."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from types import SimpleNamespace
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import uvloop
from tests.bench.load import Figures, harness
from tests.bench.servers import BenchServer

T = TypeVar("T")

_NEXT_BATCH: Final = re.compile(rb'"next_batch":"([^"]+)"')


class Crowd:
    """The harness pointed at one server, with the accounts and rooms that it remembers there."""

    def __init__(self, server: BenchServer) -> None:
        self.tools = harness()
        self.url = urlsplit(server.url)
        self.server = server
        self.state = self.tools.State(
            SimpleNamespace(url=server.url, state=str(server.state), register="dummy")
        )
        self.api = self.tools.Api(self.url)
        self.polls: list[asyncio.Task[tuple[str, bytes]]] = []

    def connection(self) -> Any:
        return self.tools.Conn(self.url)

    def cpu_s(self) -> float:
        """What the server and its database have used so far."""
        return float(sum(self.tools.cpu(self.server.pids()).values()))

    def pss_kib(self) -> int:
        """The memory of the server's process alone."""
        pss: int = self.tools.memory([self.server.pid()])[1]
        return pss

    async def sync(
        self, connection: Any, user: Any, since: str | None, timeout_ms: int = 0
    ) -> tuple[str, bytes]:
        """One sync: where it ends, and the body."""
        path = self.tools.sync_path(user, since, timeout_ms)
        status, body = await connection.request("GET", path, token=user["token"])
        found = _NEXT_BATCH.search(body)
        if status != 200 or found is None:
            raise RuntimeError(f"sync answered {status}: {body[:200]!r}")
        return found[1].decode(), body

    def poll(self, connection: Any, user: Any, since: str, timeout_ms: int) -> None:
        """Starts a sync that waits; `hang_up` ends all of them."""
        work = self.sync(connection, user, since, timeout_ms)
        self.polls.append(asyncio.get_running_loop().create_task(work))

    def answered(self) -> int:
        """How many polls have their answer."""
        return sum(poll.done() and not poll.exception() for poll in self.polls)

    async def hang_up(self) -> None:
        for poll in self.polls:
            poll.cancel()
        await asyncio.gather(*self.polls, return_exceptions=True)

    async def send(self, connection: Any, user: Any, room: str, txn: str, seq: int = 0) -> None:
        body = self.tools.message(b"own", seq, self.tools.now_ns())
        status, answer = await connection.request(
            "PUT", self.tools.send_path(room, txn), body, user["token"]
        )
        if status != 200:
            raise RuntimeError(f"a send was answered {status}: {answer[:200]!r}")


async def spread(
    work: Callable[[Any], Awaitable[T]], items: Sequence[Any], width: int = 16
) -> list[T]:
    """The results of `work`, so many at a time."""
    gate = asyncio.Semaphore(width)

    async def one(item: Any) -> T:
        async with gate:
            return await work(item)

    return await asyncio.gather(*map(one, items))


def run(work: Coroutine[Any, Any, Figures]) -> Figures:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
