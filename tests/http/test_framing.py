"""Bytes that are no requests, half requests, and requests that two readers could read differently.

The oracle is h11, a parser that shares nothing with the server's.
"""

import asyncio
import re
from collections.abc import Coroutine
from typing import Any, TypeVar

import h11
import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from posthouse.http import HttpSettings
from tests.http.support import (
    AUTH,
    Answer,
    World,
    methods_of,
    parse_answers,
    request_bytes,
    running,
    until,
)

KIB = 1024
T = TypeVar("T")


async def ask_in_pieces(world: World, request: bytes, cuts: list[int]) -> list[Answer]:
    client = await world.connect()
    last = 0
    for cut in [*sorted(cuts), len(request)]:
        client.send(request[last:cut])
        last = cut
        await asyncio.sleep(0)
    received = await client.read_all()
    client.close()
    return parse_answers(received, methods_of(request))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Each example gets a loop of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


VERSIONS = b"GET /_matrix/client/versions HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /_matrix/client/versions HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        # RFC 9112 §6.3: two lengths, or a length and a coding
        (b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
        (b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
        (b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"Content-Length: 3, 3\r\n\r\nabc", 400),
        (b"Content-Length: +3\r\n\r\nabc", 400),
        (b"Content-Length: -3\r\n\r\nabc", 400),
        (b"Content-Length: 0x3\r\n\r\nabc", 400),
        (b"Content-Length: \r\n\r\nabc", 400),
        (b"Content-Length: 99999999999999999999\r\n\r\nabc", 400),
        (b"Content-Length : 3\r\n\r\nabc", 400),
        # RFC 9112 §6.1, §7.1: codings and chunks
        (b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n", 501),
        (b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
        (b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        (b"Transfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n", 400),
        (b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n", 400),
        (b"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", 400),
        (b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n", 400),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", 400),
        # §5: headers
        (b"X: a\r\n folded\r\n\r\n", 400),
        (b"X\x00: a\r\n\r\n", 400),
        (b"X: a\x00\r\n\r\n", 400),
        (b": a\r\n\r\n", 400),
        (b"X: a\n\n", 400),
        (b"Host: b\r\n\r\n", 400),
        (b"Expect: a miracle\r\nContent-Length: 3\r\n\r\nabc", 417),
        (b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc", 400),
    ],
)
async def test_what_could_be_read_two_ways_is_refused_and_ends_the_connection(
    request_: bytes, status: int
) -> None:
    smuggled = b"GET /_matrix/client/v3/whoami HTTP/1.1\r\nHost: a\r\n" + AUTH + b"\r\n"
    async with running() as world:
        whole = b"POST /_matrix/client/v3/raw HTTP/1.1\r\nHost: a\r\n" + request_ + smuggled
        answers = await world.ask(whole)
    assert [answer.status for answer in answers] == [status]
    assert answers[0].headers["Connection"] == "close"
    assert answers[0].json()["errcode"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /_matrix/client/versions HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET /_matrix/client/versions HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET /_matrix/client/versions HTTP/0.9\r\nHost: a\r\n\r\n", 505),
        (b"GET /_matrix/client/versions HTTP/1.2\r\nHost: a\r\n\r\n", 400),
        (b"GET /_matrix/client/versions\r\n\r\n", 505),  # HTTP/0.9 had no versions
        (b"GET /_matrix/client/versions#x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /_matrix/client/\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET gopher://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS on a plain port
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ],
)
async def test_what_is_no_request_is_answered_and_closed(request_: bytes, status: int) -> None:
    async with running() as world:
        answers = await world.ask(request_)
    assert [answer.status for answer in answers] == [status]


@pytest.mark.parametrize(
    "target",
    [
        "http://elsewhere/_matrix/client/versions",
        "HTTPS://elsewhere:8448/_matrix/client/versions",
        "/_matrix/client/versions?x=%zz",
        "/_matrix/%63lient/versions",
    ],
)
async def test_other_spellings_of_a_target_are_understood(target: str) -> None:
    async with running() as world:
        answer = await world.ask_one("GET", target)
    assert answer.json() == {"versions": ["v1.1"]}


async def test_an_old_client_is_answered_and_closed() -> None:
    async with running() as world:
        (answer,) = await world.ask(b"GET /_matrix/client/versions HTTP/1.0\r\n\r\n")
        raw = await world.connect()
        raw.send(b"GET /_matrix/media/v3/pieces HTTP/1.0\r\n\r\n")
        received = await raw.read_all()
        raw.close()
    assert answer.status == 200
    assert b"Transfer-Encoding" not in received
    assert len(received.partition(b"\r\n\r\n")[2]) == 800_000


async def test_an_upgrade_that_is_not_served_is_ignored() -> None:
    async with running() as world:
        (answer,) = await world.ask(
            b"GET /_matrix/client/versions HTTP/1.1\r\nHost: a\r\n"
            b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n"
        )
    assert answer.status == 200
    assert answer.headers["Connection"] == "close"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"X: " + b"a" * (10 << 20) + b"\r\n\r\n", 431),
        (b"X: " + b"a" * (64 * KIB) + b"\r\n\r\n", 431),
        (b"".join(b"X-%d: a\r\n" % n for n in range(20_000)) + b"\r\n", 431),
        (b"".join(b"X-%d: a\r\n" % n for n in range(101)) + b"\r\n", 431),
        (b"X: a\r\n" * 102 + b"\r\n", 400),
        (b"X: " + b"a" * (60 * KIB) + b"\r\nConnection: close\r\n\r\n", 200),
        (b"".join(b"X-%d: a\r\n" % n for n in range(90)) + b"Connection: close\r\n\r\n", 200),
    ],
)
async def test_a_head_is_bounded(head: bytes, status: int) -> None:
    async with running() as world:
        answers = await world.ask(b"GET /_matrix/client/versions HTTP/1.1\r\nHost: a\r\n" + head)
    assert [answer.status for answer in answers] == [status]


async def test_a_target_is_bounded() -> None:
    async with running() as world:
        answer = await world.ask_one("GET", "/_matrix/client/versions?" + "x" * 15 * KIB)
        assert answer.status == 200
        answer = await world.ask_one("GET", "/_matrix/client/versions?" + "x" * 17 * KIB)
        assert answer.status == 414


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_is_bounded(chunked: bool) -> None:
    size = (1 << 20) + 1
    head = b"POST /_matrix/client/v3/raw HTTP/1.1\r\nHost: a\r\n"
    body = b"x" * size
    if chunked:
        request = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (size, body)
    else:
        request = head + b"Content-Length: %d\r\n\r\n" % size + body
    async with running() as world:
        (answer,) = await world.ask(request)
    assert answer.status == 413
    assert answer.json()["errcode"] == "M_TOO_LARGE"


@pytest.mark.parametrize(
    "tail", [b"1;" + b"x" * 40_000 + b"\r\na\r\n", b"0\r\nTrailer: " + b"x" * 40_000]
)
async def test_the_framing_of_chunks_is_bounded(tail: bytes) -> None:
    async with running() as world:
        (answer,) = await world.ask(
            b"POST /_matrix/client/v3/raw HTTP/1.1\r\nHost: a\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + tail
        )
    assert answer.status == 400


async def test_bodies_held_at_once_are_bounded() -> None:
    bounds = HttpSettings(buffered_bytes_max=100 * KIB, drain_seconds=0.2)
    half = (
        b"POST /_matrix/client/v3/raw HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n"
        + b"x" * 60 * KIB
    )
    async with running(settings=bounds) as world:
        first = await world.connect()
        first.send(half)
        await until(lambda: world.server.buffered == 60 * KIB)
        (answer,) = await world.ask(half)
        assert answer.status == 503
        assert world.server.buffered == 60 * KIB
        first.send(b"x" * 4 * KIB)
        assert (await first.read_answer()).startswith(b"HTTP/1.1 200")
        first.close()


async def test_chunks_and_trailers_make_the_same_body() -> None:
    async with running() as world:
        plain = await world.ask_one("POST", "/_matrix/client/v3/raw", body=b"hello world")
        (chunked,) = await world.ask(
            b"POST /_matrix/client/v3/raw HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            + AUTH
            + b"Transfer-Encoding: Chunked\r\n\r\n"
            b"5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nAuthorization: Bearer mallory\r\n\r\n"
        )
    assert chunked.json() == plain.json()


async def test_a_client_that_asks_first_is_told_to_continue() -> None:
    async with running() as world:
        client = await world.connect()
        client.send(
            VERSIONS + b"POST /_matrix/client/v3/raw HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        )
        assert (await client.read_answer()).startswith(b"HTTP/1.1 200")
        assert await client.read_answer() == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"abc")
        assert (await client.read_answer()).startswith(b"HTTP/1.1 200")
        client.close()


async def test_a_body_too_large_is_refused_before_it_is_sent() -> None:
    async with running() as world:
        (answer,) = await world.ask(
            b"POST /_matrix/client/v3/raw HTTP/1.1\r\nHost: a\r\n"
            b"Expect: 100-continue\r\nContent-Length: 30000000\r\n\r\n"
        )
    assert answer.status == 413


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    async with running() as world:
        client = await world.connect()
        client.send(request_bytes("GET", "/_matrix/client/v3/slow") + VERSIONS * 3 + LAST)
        await until(lambda: world.desk.started)
        world.desk.gate.set()
        received = await client.read_all()
        client.close()
    answers = parse_answers(received)
    assert [b"slow" in answer.body for answer in answers] == [True, False, False, False, False]


async def test_what_is_read_ahead_is_bounded() -> None:
    async with running() as world:
        client = await world.connect()
        client.send(request_bytes("GET", "/_matrix/client/v3/slow"))
        await until(lambda: world.desk.started)
        (connection,) = world.server._connections
        client.send(VERSIONS * 100_000)
        await until(lambda: connection.reading_paused)
        assert len(connection.pending) <= 16 + 16 * KIB // len(VERSIONS) + 1
        world.desk.gate.set()
        for _ in range(100_001):
            await client.read_answer()
        client.close()


async def test_an_unreadable_request_is_answered_after_those_before_it() -> None:
    async with running() as world:
        client = await world.connect()
        client.send(
            request_bytes("GET", "/_matrix/client/v3/slow") + VERSIONS + b"nonsense\r\n\r\n"
        )
        await until(lambda: world.desk.started)
        world.desk.gate.set()
        received = await client.read_all()
        client.close()
    assert [answer.status for answer in parse_answers(received)] == [200, 200, 400]


async def test_a_client_that_only_stops_sending_is_still_answered() -> None:
    async with running() as world:
        client = await world.connect()
        client.send(request_bytes("GET", "/_matrix/client/v3/slow") + VERSIONS)
        await until(lambda: world.desk.started)
        (connection,) = world.server._connections
        client.writer.write_eof()
        await until(lambda: not connection.pending[-1].keep_alive)
        world.desk.gate.set()
        received = await client.read_all()
        client.close()
    assert [answer.status for answer in parse_answers(received)] == [200, 200]


CHUNKED = (
    b"POST /_matrix/client/v3/raw HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n0\r\nX: y\r\n\r\n"
)

REQUESTS = st.sampled_from(
    [
        VERSIONS,
        request_bytes("GET", "/_matrix/client/v3/item/a%2Fb?x=1"),
        request_bytes("GET", "/_matrix/client/v3/nothing"),
        request_bytes("POST", "/_matrix/client/v3/raw", body=b"x" * 100),
        request_bytes("POST", "/_matrix/client/v3/raw", body=b""),
        request_bytes(
            "POST",
            "/_matrix/media/v3/upload",
            body=b"y" * 300,
            headers=(("Authorization", "Bearer boris"),),
        ),
        request_bytes(
            "PUT",
            "/_matrix/client/v3/rooms/!r:a/echo/n",
            body=b'{"value":"v"}',
            headers=(("Authorization", "Bearer ada"),),
        ),
        request_bytes(
            "GET", "/_matrix/client/v3/sync?timeout=0", headers=(("Authorization", "Bearer ada"),)
        ),
        CHUNKED,
        request_bytes("HEAD", "/_matrix/client/versions"),
        request_bytes("OPTIONS", "/_matrix/client/v3/sync"),
    ]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(REQUESTS, min_size=1, max_size=8), st.data())
def test_the_answers_do_not_depend_on_how_the_bytes_arrive(
    requests: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(requests) + LAST
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=30))

    async def both() -> tuple[list[Answer], list[Answer]]:
        async with running() as world:
            at_once = await ask_in_pieces(world, whole, [])
            in_pieces = await ask_in_pieces(world, whole, cuts)
            return at_once, in_pieces

    at_once, in_pieces = run(both())
    assert at_once == in_pieces
    assert len(at_once) == len(requests) + 1


@settings(max_examples=100, deadline=None)
@given(REQUESTS, st.data())
def test_a_broken_byte_never_lets_a_second_request_in(request: bytes, data: st.DataObject) -> None:
    """Whatever one byte is changed to: no more answers than an independent parser sees requests,
    unless that parser refuses the bytes altogether; and never a crash."""
    at = data.draw(st.integers(0, len(request) - 1))
    byte = data.draw(st.sampled_from(b"\r\n \t:;,0\x00\xff/%"))
    broken = request[:at] + bytes([byte]) + request[at + 1 :] + LAST

    async def ask() -> bytes:
        async with running(settings=HttpSettings(drain_seconds=0.05)) as world:
            client = await world.connect()
            client.send(broken)
            client.writer.write_eof()
            received = await client.read_all()
            client.close()
            return received

    received = run(ask())
    assert b"HTTP/1.1 500" not in received
    statuses = re.findall(rb"^HTTP/1\.1 (\d+) ", received, re.MULTILINE)
    served = [status for status in statuses if status not in (b"400", b"417", b"501", b"505")]
    # llhttp takes several spaces between the parts of a request line (RFC 9112 §3 lets it).
    squeezed = re.sub(rb"^([A-Z]+) +(\S+) +HTTP", rb"\1 \2 HTTP", broken, flags=re.MULTILINE)
    assert len(served) <= len(methods_of(squeezed))


def test_the_oracle_would_notice() -> None:
    """The independent parser refuses what the table above calls ambiguous."""
    for framing in (
        b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"X\x00: a\r\n\r\n",
    ):
        parser = h11.Connection(h11.SERVER)
        parser.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing)
        with pytest.raises(h11.RemoteProtocolError):
            parser.next_event()
