"""A full disk, a broken one, a database that takes no writes, one that is gone.

While it lasts, senders are answered 503 with `Retry-After`; when it is over, service resumes by
itself; nothing acknowledged is lost, and a client that waits in a sync hears everything once.
"""

import asyncio
import os
import resource
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.databases import Place, read_only
from tests.faults.load import Client, Sender, problems_of
from tests.postgresql_server import PostgresqlProcess, connected
from tests.server_process import ServerProcess, running_server
from tests.store.test_sqlite_faults import fill, small_disk
from tests.world import V3, world_at

SENDERS = 4


async def test_a_full_disk_is_answered_and_outlived(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", megabytes=8) as disk:

        @asynccontextmanager
        async def full() -> AsyncIterator[None]:
            ballast = disk / "ballast"
            fill(ballast)
            yield
            ballast.unlink()

        with running_server(disk / "data", log_folder=tmp_path) as server:
            await _outlives(server, full(), ballast=2_000)
            server.stop()
            assert server.runs("check") == "The data is sound.\n"


async def test_a_disk_that_refuses_writes_is_answered_and_outlived(tmp_path: Path) -> None:
    """No file of the server may grow (EFBIG): the writes of a commit fail in the middle."""
    with running_server(tmp_path / "data") as server:

        @asynccontextmanager
        async def refusing() -> AsyncIterator[None]:
            before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
            log = tmp_path / "data" / "posthouse.db-wal"
            size = max(os.stat(log).st_size, 8192)
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, before[1]))
            yield
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, before)

        await _outlives(server, refusing())
        server.stop()
        assert server.runs("check") == "The data is sound.\n"


@pytest.fixture(scope="module")
def cluster() -> Iterator[PostgresqlProcess]:
    """A PostgreSQL of this module's own, because it is killed; it syncs, because that is the point."""
    own = PostgresqlProcess(fsync=True)
    try:
        own.start()
        yield own
    finally:
        own.remove()


@pytest.mark.parametrize(
    "seconds", [1, pytest.param(30, marks=pytest.mark.long)], ids=["briefly", "30 s"]
)
async def test_postgresql_that_dies_is_outlived(
    cluster: PostgresqlProcess, tmp_path: Path, seconds: int
) -> None:
    @asynccontextmanager
    async def dead() -> AsyncIterator[None]:
        cluster.kill()
        await asyncio.sleep(seconds)
        yield
        cluster.start()

    await _on_postgresql(cluster, tmp_path, dead())


@pytest.mark.parametrize(
    "seconds", [1, pytest.param(30, marks=pytest.mark.long)], ids=["briefly", "30 s"]
)
async def test_postgresql_that_falls_silent_is_outlived(
    cluster: PostgresqlProcess, tmp_path: Path, seconds: int
) -> None:
    """Its connections stay open and nothing comes: only our own bounds end the waits."""

    @asynccontextmanager
    async def silent() -> AsyncIterator[None]:
        cluster.pause()
        await asyncio.sleep(seconds)
        yield
        cluster.resume()

    await _on_postgresql(cluster, tmp_path, silent())


async def _on_postgresql(
    cluster: PostgresqlProcess, tmp_path: Path, outage: AbstractAsyncContextManager[None]
) -> None:
    name = f"weather_{time.monotonic_ns()}"
    async with connected(cluster.url()) as administrator:
        await administrator.execute(f"CREATE DATABASE {name}")
    settings = {"storage.timeout": "PT1S", "streams.room_streams": "2"}
    with running_server(
        tmp_path / "data", storage_url=cluster.url(name), settings=settings
    ) as server:
        await _outlives(server, outage)
        server.stop()
        assert server.runs("check") == "The data is sound.\n"


async def test_a_database_that_takes_no_writes_is_answered_and_outlived(place: Place) -> None:
    async with world_at(place) as world:
        ada, boris = await world.person("ada"), await world.person("boris")
        room = await world.room(ada, boris)
        await boris.phone.syncs()
        async with read_only(place, world.here.database):
            refusal = await ada.phone.refusal(
                "PUT", f"{V3}/rooms/{room}/send/m.room.message/one", {"body": "one"}
            )
            assert refusal.status == 503
            note = f"{V3}/user/{ada.user_id}/account_data/org.note"
            assert (await ada.phone.refusal("PUT", note, {})).status == 503
            status, headers, _ = await world.answer_of(
                "POST", f"{V3}/createRoom", {}, token=ada.phone.token
            )
            assert (status, "Retry-After" in headers) == (503, True)
        for writer in world.services.room_streams.writers.values():
            await writer.wait_until_settled()
        for user_writer in world.here.user_streams.writers.values():
            await user_writer.wait_until_settled()

        await ada.phone.ask("PUT", f"{V3}/rooms/{room}/send/m.room.message/one", {"body": "one"})
        await ada.phone.ask("PUT", note, {"note": 1})

        assert await boris.phone.hears(room) == ["one"]


async def _outlives(
    server: ServerProcess, outage: AbstractAsyncContextManager[None], *, ballast: int = 0
) -> None:
    """Senders and a listener go on through an outage; nothing is lost, and all is heard once."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        ada = await Client(server.url, http).registers("ada")
        boris = await Client(server.url, http).registers("boris")
        wish = {"preset": "public_chat"}
        room = (await ada.asks("POST", f"{V3}/createRoom", wish))["room_id"]
        await boris.asks("POST", f"{V3}/rooms/{room}/join")
        await boris.syncs()
        senders = [Sender(ada, room, f"s{n}", ballast) for n in range(SENDERS)]
        heard: list[str] = []
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(_listen(boris, room, heard))
            sending = [group.create_task(sender.run(stop)) for sender in senders]
            await _until(lambda: all(len(sender.acknowledged) > 3 for sender in senders))
            async with outage:
                await _until(lambda: all(sender.refused for sender in senders))
            known = [len(sender.acknowledged) for sender in senders]
            await _until(
                lambda: all(
                    len(s.acknowledged) > n + 3 for s, n in zip(senders, known, strict=True)
                )
            )
            stop.set()
            await asyncio.wait(sending)
            await _until(lambda: set(heard) >= {e for s in senders for e, _ in s.acknowledged})
            listening.cancel()
        log = await boris.log(room)
        assert problems_of(log, senders) == []
        assert heard == [event_id for event_id, _ in log]


async def _listen(client: Client, room: str, heard: list[str]) -> None:
    """Polls as a client does: after a 503 it asks again with the token it has."""
    while True:
        status, headers, answer = await client.tries(
            "GET",
            f"{V3}/sync",
            None,
            since=client.since,
            timeout=20_000,
            filter='{"room":{"timeline":{"limit":500}}}',
        )
        if status == 503:
            assert "Retry-After" in headers
            await asyncio.sleep(0.05)
            continue
        assert status == 200, answer
        client.since = answer["next_batch"]
        joined = answer.get("rooms", {}).get("join", {}).get(room, {})
        timeline = joined.get("timeline", {})
        assert not timeline.get("limited")
        heard += [
            e["event_id"] for e in timeline.get("events", []) if e["type"] == "m.room.message"
        ]


async def _until(condition: object) -> None:
    assert callable(condition)
    end = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.01)
