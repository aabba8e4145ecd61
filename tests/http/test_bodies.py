"""Bodies that are streamed, both ways: whole, bounded in memory, and ended early."""

import asyncio
import hashlib
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from posthouse.http import HttpSettings
from tests.http.support import AUTH, parse_answers, request_bytes, running, until

MIB = 1 << 20
UPLOAD = b"POST /_matrix/media/v3/upload HTTP/1.1\r\nHost: a\r\n" + AUTH


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_upload_arrives_whole_and_is_never_held_whole(chunked: bool) -> None:
    piece, count = bytes(range(256)) * 1024, 80  # 20 MiB
    async with running() as world:
        client = await world.connect()
        if chunked:
            client.send(UPLOAD + b"Transfer-Encoding: chunked\r\n\r\n")
        else:
            client.send(UPLOAD + b"Content-Length: %d\r\n\r\n" % (len(piece) * count))
        for _ in range(count):
            client.send(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            await client.writer.drain()
        if chunked:
            client.send(b"0\r\n\r\n")
        answer = await client.read_answer()
        assert answer.startswith(b"HTTP/1.1 200")
        assert world.desk.uploads == [
            (len(piece) * count, hashlib.sha256(piece * count).hexdigest())
        ]
        assert world.desk.most_held < MIB
        # The connection is as good as before.
        client.send(request_bytes("GET", "/_matrix/client/versions"))
        assert (await client.read_answer()).startswith(b"HTTP/1.1 200")
        client.close()


async def test_a_reader_that_is_slow_makes_the_client_wait() -> None:
    async with running() as world:
        client = await world.connect()
        client.send(request_bytes("GET", "/_matrix/client/v3/slow"))
        await until(lambda: world.desk.started)
        (connection,) = world.server._connections
        client.send(UPLOAD + b"Content-Length: %d\r\n\r\n" % (8 * MIB))
        client.send(b"x" * 8 * MIB)
        await until(lambda: connection.reading_paused)
        assert connection.pending[0].stream is not None
        assert connection.pending[0].stream.size < MIB
        world.pass_time(60)  # the client isn't to blame for the pause
        world.desk.gate.set()
        assert b"slow" in await client.read_answer()
        assert b'"size":8388608' in await client.read_answer()
        client.close()


async def test_an_upload_that_breaks_off_ends_its_handler() -> None:
    async with running() as world:
        client = await world.connect()
        client.send(UPLOAD + b"Content-Length: 1000\r\n\r\nabc")
        await until(lambda: world.desk.started)
        with capture_logs() as logs:
            client.close()
            await until(lambda: not world.server.site.tasks)
    assert world.desk.uploads == []
    assert logs == []


async def test_an_upload_of_nothing_is_an_upload() -> None:
    async with running() as world:
        nothing = await world.ask_one("POST", "/_matrix/media/v3/upload", body=b"")
        no_length = await world.ask_one("POST", "/_matrix/media/v3/upload")
    assert nothing.json()["size"] == no_length.json()["size"] == 0


async def test_a_broken_chunk_refuses_the_upload() -> None:
    async with running() as world:
        (answer,) = await world.ask(
            UPLOAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nnonsense\r\n"
        )
    assert answer.status == 400
    assert world.desk.uploads == []


async def test_an_upload_refused_early_is_answered_although_the_client_still_sends() -> None:
    async with running() as world:
        client = await world.connect()
        client.send(
            b"POST /_matrix/media/v3/refuse HTTP/1.1\r\nHost: a\r\n"
            + AUTH
            + b"Content-Length: 8388608\r\n\r\n"
        )
        for _ in range(32):
            client.send(b"x" * 65536)
            await asyncio.sleep(0)
        (answer,) = parse_answers(await client.read_all())
        client.close()
    assert answer.status == 403
    assert answer.headers["Connection"] == "close"


async def test_a_client_that_asks_first_learns_that_its_upload_is_refused() -> None:
    async with running() as world:
        client = await world.connect()
        client.send(
            b"POST /_matrix/media/v3/refuse HTTP/1.1\r\nHost: a\r\n"
            + AUTH
            + b"Expect: 100-continue\r\nContent-Length: 8388608\r\n\r\n"
        )
        received = await client.read_all()
        client.close()
        assert received.startswith(b"HTTP/1.1 403")

        client = await world.connect()
        client.send(UPLOAD + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert await client.read_answer() == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"abc")
        assert b'"size":3' in await client.read_answer()
        client.close()


async def test_a_download_in_pieces_is_whole_and_well_formed() -> None:
    async with running() as world:
        answer = await world.ask_one("GET", "/_matrix/media/v3/pieces")
    assert answer.body == b"".join(b"%08d" % number * 1000 for number in range(100))


async def test_a_download_that_breaks_can_not_pass_for_whole() -> None:
    async with running() as world:
        client = await world.connect()
        client.send(request_bytes("GET", "/_matrix/media/v3/broken"))
        with capture_logs() as logs:
            received = await client.read_all()
        client.close()
    assert b"the beginning" in received
    assert not received.endswith(b"0\r\n\r\n")
    assert [entry["event"] for entry in logs] == ["handler failed"]


async def test_a_file_is_sent_no_faster_than_the_client_takes_it(tmp_path: Path) -> None:
    content = bytes(range(256)) * 4096 * 16  # 16 MiB
    (tmp_path / "big").write_bytes(content)
    async with running(folder=tmp_path) as world:
        client = await world.connect()
        client.send(request_bytes("GET", "/_matrix/media/v3/file/big") * 2)
        await until(lambda: world.server._connections)
        (connection,) = world.server._connections
        await until(lambda: connection.write_paused)
        assert connection.transport is not None
        assert connection.transport.get_write_buffer_size() < MIB
        for _ in range(2):
            assert (await client.read_answer()).endswith(content)
        client.close()


async def test_a_file_that_is_missing_or_short_is_no_answer(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"x" * 100)
    async with running(folder=tmp_path) as world:
        missing = await world.ask_one("GET", "/_matrix/media/v3/file/nothing")
        head = await world.ask_one("HEAD", "/_matrix/media/v3/file/short")
    assert missing.status == 503
    assert str(tmp_path).encode() not in missing.body
    assert head.headers["Content-Length"] == "100"


async def test_a_client_that_leaves_a_download_ends_it(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 16 * MIB)
    async with running(folder=tmp_path) as world:
        client = await world.connect()
        client.send(request_bytes("GET", "/_matrix/media/v3/file/big"))
        await client.reader.read(1000)
        with capture_logs() as logs:
            client.writer.transport.abort()
            await until(lambda: not world.server.site.tasks)
    assert logs == []


async def test_a_client_that_takes_nothing_of_its_download_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 64 * MIB)
    async with running(folder=tmp_path, settings=HttpSettings(drain_seconds=0.2)) as world:
        client = await world.connect()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(request_bytes("GET", "/_matrix/media/v3/file/big"))
        await until(lambda: world.server._connections)
        (connection,) = world.server._connections
        await until(lambda: connection.write_paused)
        world.pass_time(29)
        assert world.server.connections == 1
        world.pass_time(2)
        await until(lambda: not world.server.connections)
        client.writer.transport.abort()
