"""An orderly stop: every poll answered, running requests finished, the rest bounded."""

import asyncio
import gc
import resource

import pytest

from posthouse.http import Exchange, HttpSettings
from posthouse.http.protocol import Connection
from posthouse.std.clock import SystemClock
from tests.http.support import Client, parse_answers, request_bytes, running, until

SYNC = request_bytes("GET", "/_matrix/client/v3/sync", headers=(("Authorization", "Bearer ada"),))


@pytest.fixture
def many_files() -> None:
    """Sockets on both sides, in one process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 25_000 if hard == resource.RLIM_INFINITY else min(hard, 25_000)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def test_a_thousand_open_polls_are_all_answered(many_files: None) -> None:
    async with running() as world:
        clients = [await world.connect() for _ in range(1000)]
        for client in clients:
            client.send(SYNC)
        await until(lambda: len(world.desk.waiting) == 1000)
        clock = SystemClock()
        start = clock.monotonic()
        stopping = asyncio.gather(world.server.stop(), *(client.read_all() for client in clients))
        answers = (await stopping)[1:]
        assert clock.monotonic() - start < 5
    for received in answers:
        assert received is not None
        (answer,) = parse_answers(received)
        assert answer.json() == {"next_batch": "drained"}
        assert answer.headers["Connection"] == "close"
    for client in clients:
        client.close()


async def test_a_poll_without_a_word_for_it_is_told_to_come_again() -> None:
    async with running() as world:
        client = await world.connect()
        client.send(request_bytes("POST", "/_matrix/client/unstable/sync", body=b'{"name":"x"}'))
        await until(lambda: world.desk.waiting)
        _, received = await asyncio.gather(world.server.stop(), client.read_all())
        client.close()
    (answer,) = parse_answers(received)
    assert answer.status == 503
    assert "Retry-After" in answer.headers


async def test_a_running_request_is_finished() -> None:
    async with running(drain_seconds=10) as world:
        client = await world.connect()
        client.send(request_bytes("GET", "/_matrix/client/v3/slow"))
        await until(lambda: world.desk.started)
        stopping = asyncio.gather(world.server.stop(), client.read_all())
        await until(lambda: world.server.draining)
        world.desk.gate.set()
        (answer,) = parse_answers((await stopping)[1])
        client.close()
    assert answer.json() == {"slow": True}


async def test_a_request_that_never_ends_is_told_so() -> None:
    async with running(drain_seconds=0.05) as world:
        client = await world.connect()
        client.send(request_bytes("GET", "/_matrix/client/v3/slow"))
        await until(lambda: world.desk.started)
        _, received = await asyncio.gather(world.server.stop(), client.read_all())
        client.close()
    (answer,) = parse_answers(received)
    assert answer.status == 503


async def test_nobody_is_let_in_while_the_server_stops() -> None:
    async with running(drain_seconds=10) as world:
        client = await world.connect()
        client.send(request_bytes("GET", "/_matrix/client/v3/slow"))
        await until(lambda: world.desk.started)
        stopping = asyncio.gather(world.server.stop(), client.read_all())
        await until(lambda: world.server.draining)
        with pytest.raises(ConnectionRefusedError):
            await world.connect()
        world.desk.gate.set()
        await stopping
        client.close()


async def test_a_connection_leaves_no_cycle_behind() -> None:
    async with running() as world:
        gc.collect()
        gc.disable()
        try:
            client = await world.connect()
            client.send(request_bytes("GET", "/_matrix/client/versions") + SYNC)
            await until(lambda: world.desk.waiting)
            world.desk.waiting.pop().answer(b"{}")
            await client.read_answer()
            await client.read_answer()
            client.send(SYNC)
            await until(lambda: world.desk.waiting)
            client.close()
            await until(lambda: world.desk.gone)
            world.desk.waiting.clear()
            world.desk.gone.clear()
            await until(lambda: not world.server.connections)
            await asyncio.sleep(0)
            left = [one for one in gc.get_objects() if isinstance(one, Connection | Exchange)]
            assert not left
        finally:
            gc.enable()


@pytest.mark.long
async def test_ten_thousand_connections_are_served(many_files: None) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = 10_000 if hard == resource.RLIM_INFINITY else min(10_000, hard // 2 - 200)
    async with running(settings=HttpSettings(drain_seconds=1)) as world:
        clients: list[Client] = []
        for _ in range(count // 100):
            clients += await asyncio.gather(*(world.connect() for _ in range(100)))
        for client in clients:
            client.send(SYNC)
        await until(lambda: len(world.desk.waiting) == count)
        world.pass_time(30)
        for exchange in world.desk.waiting:
            exchange.answer(b'{"n":1}')
        for client in clients:
            assert (await client.read_answer()).endswith(b'{"n":1}')
            client.close()
        await until(lambda: not world.server.connections)
