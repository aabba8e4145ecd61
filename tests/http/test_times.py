"""Who dawdles is answered or closed, and never holds more than a connection."""

import asyncio
from functools import partial

import pytest

from posthouse.http import HttpSettings, Server
from posthouse.http.protocol import Connection
from tests.http.support import AUTH, parse_answers, request_bytes, running, until

BOUNDS = HttpSettings(head_seconds=10, body_window_seconds=20, idle_seconds=60, drain_seconds=0.2)


@pytest.mark.parametrize(
    ("sent", "drop"),
    [(b"G", b"E"), (b"GET / HTTP/1.1\r\nHost: a\r\nX", b"x"), (b"\r\n", b"\r\n")],
)
async def test_half_a_head_is_waited_for_ten_seconds_in_all(sent: bytes, drop: bytes) -> None:
    async with running(settings=BOUNDS) as world:
        client = await world.connect()
        client.send(sent)
        (connection,) = await connections(world.server)
        await until(lambda: connection.head_bytes)
        world.pass_time(6)
        client.send(drop)  # a drop now and then buys no time
        await until(lambda: connection.head_bytes == len(sent + drop))
        world.pass_time(6)
        answers = parse_answers(await client.read_all())
        client.close()
    assert [answer.status for answer in answers] == [408]


async def test_a_body_may_be_slow_as_long_as_it_comes() -> None:
    async with running(settings=BOUNDS) as world:
        client = await world.connect()
        client.send(b"POST /_matrix/client/v3/raw HTTP/1.1\r\nHost: a\r\n")
        client.send(b"Content-Length: 65536\r\n\r\n")
        (connection,) = await connections(world.server)
        for count in range(1, 8):
            client.send(b"x" * 9000)
            await until(partial(holds, world.server, count * 9000))
            world.pass_time(21)
        client.send(b"x" * (65536 - 7 * 9000))
        assert (await client.read_answer()).startswith(b"HTTP/1.1 200")
        assert connection.weight == 0
        client.close()


async def test_a_body_that_trickles_is_given_up() -> None:
    async with running(settings=BOUNDS) as world:
        client = await world.connect()
        client.send(b"POST /_matrix/client/v3/raw HTTP/1.1\r\nHost: a\r\n")
        client.send(b"Content-Length: 65536\r\n\r\n")
        await connections(world.server)
        for count in (1, 2):
            client.send(b"x")
            await until(partial(holds, world.server, count))
            world.pass_time(11)
        answers = parse_answers(await client.read_all())
        client.close()
    assert [answer.status for answer in answers] == [408]


async def test_an_upload_that_trickles_ends_its_handler() -> None:
    async with running(settings=BOUNDS) as world:
        client = await world.connect()
        client.send(b"POST /_matrix/media/v3/upload HTTP/1.1\r\nHost: a\r\n" + AUTH)
        client.send(b"Content-Length: 65536\r\n\r\nabc")
        await until(lambda: world.desk.started)
        world.pass_time(21)
        answers = parse_answers(await client.read_all())
        client.close()
    assert [answer.status for answer in answers] == [408]
    assert world.desk.uploads == []


async def test_an_idle_connection_is_closed_and_a_waiting_poll_is_not() -> None:
    async with running(settings=BOUNDS) as world:
        idle = await world.connect()
        idle.send(request_bytes("GET", "/_matrix/client/versions"))
        await idle.read_answer()
        waiting = await world.connect()
        waiting.send(
            request_bytes(
                "GET", "/_matrix/client/v3/sync", headers=(("Authorization", "Bearer ada"),)
            )
        )
        await until(lambda: world.desk.waiting)
        silent = await world.connect()
        await until(lambda: world.server.connections == 3)
        world.pass_time(61)
        assert await idle.read_all() == b""
        assert await silent.read_all() == b""
        world.desk.waiting[0].answer(b'{"n":1}')
        assert (await waiting.read_answer()).endswith(b'{"n":1}')
        for client in (idle, waiting, silent):
            client.close()


async def test_a_slow_reader_of_a_long_answer_is_not_idle() -> None:
    async with running(settings=BOUNDS) as world:
        client = await world.connect()
        client.send(
            request_bytes(
                "GET", "/_matrix/client/v3/sync", headers=(("Authorization", "Bearer ada"),)
            )
        )
        await until(lambda: world.desk.waiting)
        body = b"x" * (32 << 20)
        world.desk.waiting[0].answer(body)
        (connection,) = await connections(world.server)
        transport = connection.transport
        assert transport is not None
        assert connection.write_paused
        received = b""
        for _ in range(3):
            received += await client.reader.readexactly(4 << 20)
            mark = connection.write_mark
            await until(partial(has_less_to_send, connection, mark - 4096))
            world.pass_time(31)
        assert not connection.closing
        rest = len(body) - len(received.partition(b"\r\n\r\n")[2])
        assert await client.reader.readexactly(rest) == b"x" * rest


async def test_a_last_answer_that_nobody_takes_is_cut_off() -> None:
    async with running(settings=BOUNDS) as world:
        client = await world.connect()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(
            request_bytes(
                "GET",
                "/_matrix/client/v3/sync",
                headers=(("Authorization", "Bearer ada"), ("Connection", "close")),
            )
        )
        await until(lambda: world.desk.waiting)
        world.desk.waiting[0].answer(b"x" * (32 << 20))
        (connection,) = await connections(world.server)
        assert connection.closing
        for _ in range(3):  # what the kernel took counts as taken, once
            world.pass_time(31)
            await asyncio.sleep(0)
        await until(lambda: not world.server.connections)


def has_less_to_send(connection: Connection, size: int) -> bool:
    assert connection.transport is not None
    return connection.transport.get_write_buffer_size() < size


async def test_one_connection_too_many_is_told_so() -> None:
    async with running(settings=HttpSettings(connections_max=2, drain_seconds=0.2)) as world:
        clients = [await world.connect() for _ in range(2)]
        await until(lambda: world.server.connections == 2)
        third = await world.connect()
        (answer,) = parse_answers(await third.read_all())
        assert answer.status == 503
        assert "Retry-After" in answer.headers
        third.close()
        await until(lambda: world.server.connections == 2)
        for client in clients:
            client.send(request_bytes("GET", "/_matrix/client/versions"))
            assert (await client.read_answer()).startswith(b"HTTP/1.1 200")
            client.close()


async def test_a_refused_client_that_never_leaves_is_cut_off() -> None:
    async with running(settings=BOUNDS) as world:
        client = await world.connect()
        client.send(b"nonsense\r\n\r\n")
        await client.read_all()
        assert world.server.connections == 1
        world.pass_time(3)
        await until(lambda: not world.server.connections)
        client.close()


async def test_a_poll_learns_that_its_client_has_gone() -> None:
    async with running() as world:
        client = await world.connect()
        client.send(
            request_bytes(
                "GET", "/_matrix/client/v3/sync", headers=(("Authorization", "Bearer ada"),)
            )
        )
        await until(lambda: world.desk.waiting)
        client.close()
        await until(lambda: world.desk.gone)
        (exchange,) = world.desk.gone
        assert not exchange.is_open
        exchange.answer(b"{}")  # dropped


def holds(server: Server, count: int) -> bool:
    return server.buffered == count


async def connections(server: Server) -> list[Connection]:
    await until(lambda: server.connections)
    return list(server._connections)
