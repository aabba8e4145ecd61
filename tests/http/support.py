"""A small site that uses every kind of handler, and clients that see the bytes."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import h11
import msgspec
from msgspec import Struct

from posthouse.http import (
    Auth,
    BodyStream,
    Caller,
    Exchange,
    FileBody,
    Handler,
    Header,
    HttpSettings,
    Limit,
    LimitSettings,
    PeerAddress,
    Query,
    RawBody,
    RawJson,
    Reply,
    Server,
    Site,
    get,
    poll,
    post,
    put,
)
from posthouse.matrix import DeviceId, Forbidden, RoomId, UnknownToken, UserId
from posthouse.std.clock import SystemClock
from posthouse.std.faults import Unavailable

ADA = Caller(UserId("@ada:localhost"), DeviceId("ADA1"), b"ada")
AUTH = b"Authorization: Bearer ada\r\n"


class HandClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now_ms(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds


class Tokens:
    """Ada's token is known at once, Boris's must be looked up, Mallory's is none."""

    def cached(self, token: str) -> Caller | None:
        return ADA if token == "ada" else None

    async def authenticate(self, token: str) -> Caller:
        await asyncio.sleep(0)
        if token == "boris":
            return Caller(UserId("@boris:localhost"), DeviceId("B1"), b"boris")
        raise UnknownToken


@dataclass
class Desk:
    """The service behind the handlers: what happened, and what is waited for."""

    folder: Path = Path()
    waiting: list[Exchange] = field(default_factory=list)
    gone: list[Exchange] = field(default_factory=list)
    uploads: list[tuple[int, str]] = field(default_factory=list)
    most_held: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    started: int = 0


class Echo(Struct, frozen=True):
    who: str
    room_id: str
    name: str
    value: str
    count: int = 1


class EchoRequest(Struct, frozen=True):
    room_id: RoomId
    name: str
    value: str
    count: int = 1


@put("/_matrix/client/v3/rooms/{room_id}/echo/{name}")
async def echo(caller: Caller, request: EchoRequest) -> Echo:
    return Echo(caller.user_id, request.room_id, request.name, request.value, request.count)


class AskRequest(Struct, frozen=True):
    dir: Annotated[str, msgspec.Meta(pattern="^[bf]$")]
    limit: int = 10
    via: list[str] = []
    agent: Annotated[str, Header("user-agent")] = ""
    address: Annotated[str, PeerAddress()] = ""
    flag: Annotated[bool, Query("org.example.flag")] = False


@get("/_matrix/client/v3/ask", auth=Auth.NONE)
def ask(request: AskRequest) -> AskRequest:
    return request


class RawRequest(Struct, frozen=True):
    body: Annotated[bytes, RawBody()]


@post("/_matrix/client/v3/raw", auth=Auth.OPTIONAL)
async def raw(caller: Caller | None, request: RawRequest) -> RawJson:
    who = "nobody" if caller is None else caller.user_id
    return RawJson(
        msgspec.json.encode({"who": who, "sha": hashlib.sha256(request.body).hexdigest()})
    )


class UploadRequest(Struct, frozen=True):
    body: Annotated[BodyStream, RawBody()]


class Uploaded(Struct, frozen=True):
    size: int
    sha: str


@post("/_matrix/media/v3/upload")
async def upload(desk: Desk, request: UploadRequest) -> Uploaded:
    digest, size = hashlib.sha256(), 0
    desk.started += 1
    async for piece in request.body:
        size += len(piece)
        digest.update(piece)
        desk.most_held = max(desk.most_held, request.body.size)
    desk.uploads.append((size, digest.hexdigest()))
    return Uploaded(size, digest.hexdigest())


@post("/_matrix/media/v3/refuse")
async def refuse_upload(request: UploadRequest) -> Uploaded:
    raise Forbidden("Not today.")


@get("/_matrix/media/v3/pieces", auth=Auth.NONE)
async def pieces() -> Reply:
    async def body() -> AsyncIterator[bytes]:
        for number in range(100):
            yield b"%08d" % number * 1000
            await asyncio.sleep(0)

    return Reply(200, {"Content-Type": "application/octet-stream"}, body())


@get("/_matrix/media/v3/broken", auth=Auth.NONE)
async def broken_pieces() -> Reply:
    async def body() -> AsyncIterator[bytes]:
        yield b"the beginning"
        raise OSError("the disk is gone")

    return Reply(200, {"Content-Type": "text/plain"}, body())


class FileRequest(Struct, frozen=True):
    name: str


@get("/_matrix/media/v3/file/{name}", auth=Auth.NONE)
async def file(desk: Desk, request: FileRequest) -> Reply:
    path = desk.folder / request.name
    size = path.stat().st_size if path.exists() else 10
    return Reply(200, {"Content-Type": "application/octet-stream"}, FileBody(path, 0, size))


@get("/_matrix/client/v3/crash", auth=Auth.NONE)
async def crash() -> Echo:
    raise ValueError("the secret is 4711")


@get("/_matrix/client/v3/nonsense", auth=Auth.NONE)
async def nonsense() -> object:
    return 42


@get("/_matrix/client/v3/unavailable", auth=Auth.NONE)
async def unavailable() -> Echo:
    raise Unavailable("disk full: /var/secret", retry_after_s=7)


@get("/_matrix/client/v3/limited", Limit.LOGIN, auth=Auth.NONE)
def limited() -> RawJson:
    return RawJson(b"{}")


@get("/_matrix/client/v3/slow", auth=Auth.NONE)
async def slow(desk: Desk) -> RawJson:
    desk.started += 1
    await desk.gate.wait()
    return RawJson(b'{"slow":true}')


@get("/_matrix/client/versions", auth=Auth.NONE)
def versions() -> RawJson:
    return RawJson(b'{"versions":["v1.1"]}')


@get("/_matrix/client/v3/whoami")
def whoami(caller: Caller) -> RawJson:
    return RawJson(msgspec.json.encode({"user_id": caller.user_id}))


class ItemRequest(Struct, frozen=True):
    name: str


@get("/_matrix/client/v3/item/{name}", auth=Auth.NONE)
def item(request: ItemRequest) -> ItemRequest:
    return request


@get("/.well-known/matrix/client", auth=Auth.NONE)
def well_known() -> RawJson:
    return RawJson(b"{}")


@poll("/_matrix/client/v3/sync")
def sync(desk: Desk, caller: Caller, exchange: Exchange) -> None:
    if exchange.query.get("timeout") == "0":
        exchange.answer(b'{"next_batch":"0"}')
        return
    desk.waiting.append(exchange)
    exchange.on_gone = lambda: desk.gone.append(exchange)
    exchange.on_drain = lambda: exchange.answer(b'{"next_batch":"drained"}')


@poll("/_matrix/client/unstable/sync", method="POST", auth=Auth.NONE)
def bare_poll(desk: Desk, request: ItemRequest, exchange: Exchange) -> None:
    desk.waiting.append(exchange)


HANDLERS: tuple[Handler, ...] = (
    echo,
    ask,
    raw,
    upload,
    refuse_upload,
    pieces,
    broken_pieces,
    file,
    crash,
    nonsense,
    unavailable,
    limited,
    slow,
    versions,
    whoami,
    item,
    well_known,
    sync,
    bare_poll,
)


def front_page(exchange: Exchange) -> Reply | None:
    if exchange.path != "/":
        return None
    return Reply(200, {"Content-Type": "text/html; charset=utf-8"}, b"<h1>Posthouse</h1>")


@dataclass
class World:
    """A running server, its service, its clock."""

    server: Server
    desk: Desk
    clock: HandClock
    port: int
    clients: "list[Client]" = field(default_factory=list)

    def pass_time(self, seconds: float) -> None:
        self.clock.seconds += seconds
        self.server.sweep()

    async def connect(self) -> "Client":
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        client = Client(reader, writer)
        self.clients.append(client)
        return client

    async def ask(self, request: bytes) -> list["Answer"]:
        """Sends bytes, half-closes nothing, reads until the server closes."""
        client = await self.connect()
        client.send(request)
        answers = parse_answers(await client.read_all(), methods_of(request))
        client.close()
        return answers

    async def ask_one(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None = None,
        headers: Iterable[tuple[str, str]] = (("Authorization", "Bearer ada"),),
    ) -> "Answer":
        (answer,) = await self.ask(
            request_bytes(method, target, body=body, headers=(*headers, ("Connection", "close")))
        )
        return answer


def request_bytes(
    method: str,
    target: str,
    *,
    body: bytes | None = None,
    headers: Iterable[tuple[str, str]] = (),
) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def read_all(self) -> bytes:
        """Everything until the server closes; a reset counts as an end."""
        received = b""
        async with asyncio.timeout(20):
            while True:
                try:
                    piece = await self.reader.read(1 << 16)
                except ConnectionError:
                    return received
                if not piece:
                    return received
                received += piece

    async def read_answer(self) -> bytes:
        """One answer with a Content-Length, head and body."""
        async with asyncio.timeout(20):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            return head + await self.reader.readexactly(length)

    def close(self) -> None:
        self.writer.close()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


def methods_of(requests: bytes) -> list[str]:
    """The methods of requests, as far as an independent parser reads them."""
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 24)
    parser.receive_data(requests)
    methods: list[str] = []
    try:
        while True:
            event = parser.next_event()
            if event in (h11.NEED_DATA, h11.PAUSED):
                if parser.their_state is h11.DONE and parser.our_state is h11.SEND_RESPONSE:
                    parser.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                    parser.send(h11.EndOfMessage())
                    parser.start_next_cycle()
                    continue
                return methods
            if isinstance(event, h11.ConnectionClosed):
                return methods
            if isinstance(event, h11.Request):
                methods.append(event.method.decode())
    except h11.RemoteProtocolError:
        return methods
    except h11.LocalProtocolError:
        return methods


def parse_answers(received: bytes, methods: Iterable[str] = ()) -> list[Answer]:
    """What an independent client makes of the bytes, given what it asked.

    Raises h11.RemoteProtocolError where they aren't well-formed HTTP.
    """
    answers: list[Answer] = []
    asked = [*methods]
    while received:
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 24)
        method = asked.pop(0) if asked else "GET"
        parser.send(h11.Request(method=method, target="/", headers=[("host", "localhost")]))
        parser.send(h11.EndOfMessage())
        parser.receive_data(received)
        parser.receive_data(b"")
        head: h11.Response | None = None
        body = b""
        while True:
            event = parser.next_event()
            if isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                break
            elif isinstance(event, h11.InformationalResponse):
                continue
            else:
                raise AssertionError(f"unexpected {event}")
        assert head is not None
        headers = {name.decode().title(): value.decode() for name, value in head.headers}
        answers.append(Answer(head.status_code, headers, body))
        received = bytes(parser.trailing_data[0])
    return answers


@asynccontextmanager
async def running(
    *,
    settings: HttpSettings | None = None,
    limits: LimitSettings | None = None,
    folder: Path | None = None,
    handlers: Iterable[Handler] = HANDLERS,
    drain_seconds: float = 0.2,
) -> AsyncIterator[World]:
    """A server on a free port, stopped at the end with nothing left behind."""
    clock = HandClock()
    desk = Desk(folder or Path())
    if settings is None:
        settings = HttpSettings(drain_seconds=drain_seconds)
    settings = msgspec.structs.replace(settings, listen=("127.0.0.1:0",), sweep_seconds=3600.0)
    site = Site(
        handlers,
        {Desk: desk},
        authenticator=Tokens(),
        settings=settings,
        limits=limits or LimitSettings(),
        clock=clock,
        fallback=front_page,
    )
    server = Server(site, clock)
    (address,) = await server.start()
    world = World(server, desk, clock, int(address.rpartition(":")[2]))
    try:
        yield world
    finally:
        await server.stop()
        for client in world.clients:
            client.close()
        assert server.connections == 0
        assert len(site.tasks) == 0
        assert server.buffered == 0


async def until(condition: Any) -> None:
    """Lets the loop turn until something holds; fails after 20 s of the real clock."""
    clock = SystemClock()
    end = clock.monotonic() + 20
    while not condition():
        assert clock.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.001)
