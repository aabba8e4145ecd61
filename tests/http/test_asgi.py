"""The same answers behind ASGI."""

import asyncio
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from posthouse.http import HttpSettings, LimitSettings, Site
from posthouse.http.asgi import AsgiApp
from tests.http.support import HANDLERS, Desk, HandClock, Tokens, front_page, running, until

Message = MutableMapping[str, Any]


def app_of(desk: Desk) -> tuple[AsgiApp, Site]:
    site = Site(
        HANDLERS,
        {Desk: desk},
        authenticator=Tokens(),
        settings=HttpSettings(),
        limits=LimitSettings(),
        clock=HandClock(),
        fallback=front_page,
    )
    return AsgiApp(site), site


class Asking:
    """One request, its body in pieces, and what came back."""

    def __init__(self, method: str, target: str, *pieces: bytes, token: str = "ada") -> None:
        path, _, query = target.partition("?")
        self.scope: Message = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"authorization", b"Bearer " + token.encode())],
            "client": ("192.0.2.1", 4711),
        }
        self.messages: list[Message] = [
            {"type": "http.request", "body": piece, "more_body": True} for piece in pieces
        ]
        self.messages.append({"type": "http.request", "body": b"", "more_body": False})
        self.sent: list[Message] = []
        self.left = asyncio.Event()

    async def receive(self) -> Message:
        if self.messages:
            return self.messages.pop(0)
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


@pytest.mark.parametrize(
    ("method", "target", "pieces"),
    [
        ("GET", "/_matrix/client/versions", ()),
        ("HEAD", "/_matrix/client/versions", ()),
        ("GET", "/_matrix/client/v3/whoami", ()),
        ("GET", "/_matrix/client/v3/nothing", ()),
        ("POST", "/_matrix/client/versions", (b"x",)),
        ("OPTIONS", "/_matrix/client/versions", ()),
        ("PUT", "/_matrix/client/v3/rooms/!r:a/echo/a%2Fb", (b'{"value"', b':"x"}')),
        ("POST", "/_matrix/client/v3/raw", (b"x" * 800_000, b"x" * 800_000)),
        ("POST", "/_matrix/media/v3/upload", (b"x" * 800_000, b"x" * 800_000)),
        ("GET", "/_matrix/media/v3/pieces", ()),
        ("GET", "/_matrix/media/v3/file/some", ()),
        ("GET", "/_matrix/client/v3/crash", ()),
        ("GET", "/", ()),
        ("GET", "/nothing", ()),
    ],
)
async def test_behind_asgi_the_answers_are_the_same(
    method: str, target: str, pieces: tuple[bytes, ...], tmp_path: Path
) -> None:
    (tmp_path / "some").write_bytes(b"some" * 100_000)
    app, site = app_of(Desk(tmp_path))
    asking = Asking(method, target, *pieces)
    await app(asking.scope, asking.receive, asking.send)
    await until(lambda: not site.tasks)
    body = b"".join(pieces) if pieces else None
    async with running(folder=tmp_path) as world:
        answer = await world.ask_one(method, target, body=body)
    assert asking.sent[0]["status"] == answer.status
    assert asking.body == answer.body
    headers = {name.decode().title(): value.decode() for name, value in asking.sent[0]["headers"]}
    for own in ("Date", "Connection", "Transfer-Encoding"):
        answer.headers.pop(own, None)
    assert headers == answer.headers


async def test_a_poll_behind_asgi_notices_a_client_that_leaves() -> None:
    desk = Desk()
    app, site = app_of(desk)
    asking = Asking("GET", "/_matrix/client/v3/sync")
    call = asyncio.gather(
        app(asking.scope, asking.receive, asking.send), until(lambda: desk.waiting)
    )
    await until(lambda: desk.waiting)
    asking.left.set()
    await call
    assert asking.sent == []
    assert len(desk.gone) == 1
    assert not site.tasks


async def test_the_lifespan_is_acknowledged() -> None:
    app, _ = app_of(Desk())
    asking = Asking("GET", "/")
    asking.messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    await app({"type": "lifespan"}, asking.receive, asking.send)
    assert [message["type"] for message in asking.sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
