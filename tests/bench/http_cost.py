"""What the transport costs: CPU microseconds a request, KiB an idle poll.

    python -m tests.bench.http_cost

The first part feeds a connection without a socket, so that only the parser and the code above it
are counted; the second serves loopback clients from a process of its own. CPU times hold on a busy
machine, least of several rounds.
"""

import asyncio
import gc
import multiprocessing
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from typing import Annotated, Any, cast

import httptools
import uvloop
from msgspec import Struct

from posthouse.http import (
    Caller,
    Exchange,
    HttpSettings,
    LimitSettings,
    RawBody,
    RawJson,
    Server,
    Site,
    get,
    poll,
    put,
)
from posthouse.http.protocol import Connection
from posthouse.matrix import DeviceId, RoomId, UserId
from posthouse.std.clock import SystemClock

ADA = Caller(UserId("@ada:localhost"), DeviceId("ADA1"), b"ada")
HEADERS = (
    "Host: localhost:8008\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    "Accept: application/json\r\nAccept-Language: en-GB,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br\r\nContent-Type: application/json\r\n"
    "Origin: https://app.example.org\r\nReferer: https://app.example.org/\r\n"
    "Sec-Fetch-Mode: cors\r\nSec-Fetch-Site: cross-site\r\nConnection: keep-alive\r\n"
    "Authorization: Bearer syt_YWRh_0123456789abcdefghij_012345\r\n"
)
BODY = b'{"algorithm":"m.megolm.v1.aes-sha2","ciphertext":"%s"}' % (b"A" * 655)
SEND = (
    "PUT /_matrix/client/v3/rooms/!0123456789abcdefghijklmnopqrstuvwxyzABCDEFG/send/"
    f"m.room.encrypted/m1234567890.1 HTTP/1.1\r\n{HEADERS}Content-Length: {len(BODY)}\r\n\r\n"
).encode() + BODY
SYNC = (
    "GET /_matrix/client/v3/sync?timeout=30000&since=s0123456789_0123456789&filter=0 HTTP/1.1\r\n"
    f"{HEADERS}\r\n"
).encode()
WHOAMI = f"GET /_matrix/client/v3/account/whoami HTTP/1.1\r\n{HEADERS}\r\n".encode()
SYNC_BODY = b'{"next_batch":"s1","rooms":{"join":{"!r":{"timeline":{"events":["%s"]}}}}}' % (
    b"x" * 1150
)


class Known:
    def cached(self, token: str) -> Caller | None:
        return ADA

    async def authenticate(self, token: str) -> Caller:
        return ADA


class Desk:
    def __init__(self) -> None:
        self.waiting: list[Exchange] = []


class Request(Struct, frozen=True):
    room_id: RoomId
    event_type: str
    txn_id: str
    content: Annotated[bytes, RawBody()]


class Sent(Struct, frozen=True):
    event_id: str


@put("/_matrix/client/v3/rooms/{room_id}/send/{event_type}/{txn_id}")
async def send(caller: Caller, request: Request) -> Sent:
    return Sent("$0123456789abcdefghijklmnopqrstuvwxyzABCDEFG")


@get("/_matrix/client/v3/account/whoami")
def whoami(caller: Caller) -> RawJson:
    return RawJson(b'{"user_id":"@ada:localhost"}')


@poll("/_matrix/client/v3/sync")
def sync(desk: Desk, caller: Caller, exchange: Exchange) -> None:
    exchange.query.get("since")
    desk.waiting.append(exchange)


def server_of(desk: Desk) -> Server:
    clock = SystemClock()
    site = Site(
        (send, whoami, sync),
        {Desk: desk},
        authenticator=Known(),
        settings=HttpSettings(listen=("127.0.0.1:0",)),
        limits=LimitSettings(),
        clock=clock,
    )
    return Server(site, clock)


class Sink(asyncio.Transport):
    """A transport that goes nowhere."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


class Ears:
    """Callbacks that do nothing: the parser's own cost."""

    def on_url(self, url: bytes) -> None:
        pass

    def on_header(self, name: bytes, value: bytes) -> None:
        pass

    def on_headers_complete(self) -> None:
        pass

    def on_body(self, body: bytes) -> None:
        pass

    def on_message_complete(self) -> None:
        pass


def least(work: Callable[[], object], count: int = 2000, rounds: int = 15) -> float:
    """Microseconds of this thread a call, in the best round."""
    best = float("inf")
    for _ in range(rounds):
        start = time.thread_time()
        for _ in range(count):
            work()
        best = min(best, (time.thread_time() - start) / count)
    return best * 1e6


async def without_sockets() -> None:
    desk = Desk()
    server = server_of(desk)
    connection = Connection(server)
    connection.connection_made(Sink())

    parser = httptools.HttpRequestParser(Ears())
    print(
        f"parser alone, PUT of {len(SEND)} bytes   {least(lambda: parser.feed_data(SEND)):6.1f} us"
    )
    print(
        "GET whoami, a plain function          "
        f"{least(lambda: connection.data_received(WHOAMI)):6.1f} us"
    )

    def take_and_answer() -> None:
        connection.data_received(SYNC)
        desk.waiting.pop().answer(SYNC_BODY)

    print(f"GET sync, a poll: taken and answered  {least(take_and_answer):6.1f} us")

    best = float("inf")
    for _ in range(15):
        start = time.thread_time()
        for _ in range(1000):
            connection.data_received(SEND)
            await asyncio.sleep(0)  # the task runs in this turn of the loop
        best = min(best, (time.thread_time() - start) / 1000)
        await asyncio.sleep(0)
        assert not server.site.tasks
    print(f"PUT send, a coroutine in a task       {best * 1e6:6.1f} us")


def serve(pipe: Pipe) -> None:
    """A server that tells its CPU time and memory when asked."""

    async def main() -> None:
        desk = Desk()
        server = server_of(desk)
        gc.collect()
        gc.freeze()
        (address,) = await server.start()
        pipe.send(address)
        loop = asyncio.get_running_loop()
        asked = asyncio.Event()
        loop.add_reader(pipe.fileno(), asked.set)
        while True:
            await asked.wait()
            asked.clear()
            word = pipe.recv()
            if word == "stop":
                loop.remove_reader(pipe.fileno())
                await server.stop()
                return
            if word == "answer":
                start = time.process_time()
                waiting, desk.waiting = desk.waiting, []
                for exchange in waiting:
                    exchange.answer(SYNC_BODY)
                pipe.send(time.process_time() - start)
            else:
                pipe.send((time.process_time(), pss_kib(), len(desk.waiting)))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def pss_kib() -> int:
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))


def with_sockets() -> None:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there,))
    process.start()
    host, port = cast(str, here.recv()).rsplit(":", 1)

    def ask(word: str) -> Any:
        here.send(word)
        return here.recv()

    clients = [socket.create_connection((host, int(port))) for _ in range(32)]

    def round_of(request: bytes, count: int) -> float:
        before = ask("state")[0]
        for _ in range(count):
            for client in clients:
                client.sendall(request)
            for client in clients:
                client.recv(65536)
        return float(ask("state")[0] - before) / count / len(clients) * 1e6

    for name, request in (("GET whoami", WHOAMI), ("PUT send", SEND)):
        best = min(round_of(request, 100) for _ in range(10))
        print(f"{name}, 32 connections, with the kernel    {best:6.1f} us")

    before = ask("state")[1]
    polls = [socket.create_connection((host, int(port))) for _ in range(2000)]
    for client in polls:
        client.sendall(SYNC)
    while ask("state")[2] < len(polls):
        time.sleep(0.05)
    print(f"an idle poll                      {(ask('state')[1] - before) / len(polls):6.2f} KiB")
    print(f"answering one of 2,000 polls      {ask('answer') / len(polls) * 1e6:6.1f} us")
    for client in (*clients, *polls):
        client.close()
    here.send("stop")
    process.join()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(without_sockets())
    with_sockets()
