"""The same site behind ASGI: for test tools that speak it, and for other servers if ever needed.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, Final

from posthouse.http import cors
from posthouse.http.bodies import BodyStream
from posthouse.http.errors import ClientGone, MalformedRequest
from posthouse.http.exchange import Exchange
from posthouse.http.heads import has_no_body
from posthouse.http.routes import UNBOUNDED
from posthouse.http.site import Site
from posthouse.http.targets import split_target
from posthouse.matrix import Refusal, TooLarge

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class AsgiApp:
    """An ASGI application. Bounds in time and on heads are its server's."""

    __slots__ = ("_site",)

    def __init__(self, site: Site) -> None:
        self._site = site

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"{scope['type']} is not served")
        carrier = _Carrier(scope, send)
        try:
            exchange = self._exchange(scope, carrier)
        except Refusal as refusal:
            exchange = Exchange(self._site, carrier, "GET", "*", "", {}, False)
            exchange.refuse(refusal)
            await carrier.finish()
            return
        if exchange.endpoint.streams_body:
            await self._streaming(exchange, carrier, receive)
        else:
            await self._buffered(exchange, carrier, receive)

    def _exchange(self, scope: Message, carrier: "_Carrier") -> Exchange:
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode("utf-8")
        path, _ = split_target(raw_path)
        if not path.startswith("/") and path != "*":
            raise MalformedRequest
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            key = bytes(name).lower()
            headers[key] = headers[key] + b", " + value if key in headers else bytes(value)
        query = scope["query_string"].decode("ascii", "replace")
        return Exchange(self._site, carrier, scope["method"], path, query, headers, True)

    async def _buffered(self, exchange: Exchange, carrier: "_Carrier", receive: Receive) -> None:
        limit = exchange.endpoint.body_limit
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > limit != UNBOUNDED:
                exchange.refuse(TooLarge())
                await carrier.finish()
                return
        exchange.body = body
        self._site.handle(exchange)
        await carrier.finish_or_leave(exchange, receive)

    async def _streaming(self, exchange: Exchange, carrier: "_Carrier", receive: Receive) -> None:
        room = asyncio.Event()
        raw_length = exchange.headers.get(b"content-length")
        stream = BodyStream(None if raw_length is None else int(raw_length), room.set)
        exchange.stream = stream
        limit = exchange.endpoint.body_limit

        async def pump() -> None:
            size = 0
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    exchange.gone()
                    carrier.leave()
                    return
                piece = message.get("body", b"")
                size += len(piece)
                if size > limit != UNBOUNDED:
                    stream.fail(TooLarge())
                    return
                if piece:
                    stream.push(piece)
                if not message.get("more_body", False):
                    stream.end()
                    return
                while stream.full:
                    room.clear()
                    await room.wait()

        async with asyncio.TaskGroup() as group:
            pumping = group.create_task(pump())
            self._site.handle(exchange)
            await carrier.finish()
            pumping.cancel()


class _Carrier:
    """Brings one answer to an ASGI server."""

    __slots__ = ("_answer", "_done", "_send", "peer")

    def __init__(self, scope: Message, send: Send) -> None:
        client = scope.get("client")
        self.peer: str = client[0] if client else ""
        self._send = send
        self._done = asyncio.Event()
        self._answer: tuple[Message, Message] | None = None

    def answer(self, exchange: Exchange, status: int, headers: bytes | None, body: bytes) -> None:
        if headers is None:
            headers = b"Content-Type: application/json\r\n"
        if not has_no_body(status):
            headers += b"Content-Length: %d\r\n" % len(body)
        if exchange.is_head or has_no_body(status):
            body = b""
        self._answer = (
            _start(exchange, status, headers),
            {"type": "http.response.body", "body": body},
        )
        exchange.carrier = None
        self._done.set()

    async def stream(
        self,
        exchange: Exchange,
        status: int,
        headers: bytes,
        body: AsyncIterator[bytes],
        length: int | None,
    ) -> None:
        if self._done.is_set():
            raise ClientGone
        if length is not None:
            headers += b"Content-Length: %d\r\n" % length
        await self._send(_start(exchange, status, headers))
        if not exchange.is_head:
            async for piece in body:
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})
        exchange.carrier = None
        self._done.set()

    def cut(self, exchange: Exchange) -> None:
        # Nothing more is sent: a server takes an answer without its end for a broken one.
        self._done.set()

    def leave(self) -> None:
        """The client went away."""
        self._done.set()

    async def finish(self) -> None:
        """Waits for the answer and sends it, unless it was streamed."""
        await self._done.wait()
        if self._answer is not None:
            for message in self._answer:
                await self._send(message)

    async def finish_or_leave(self, exchange: Exchange, receive: Receive) -> None:
        """As `finish`, but a client that goes away in the meantime is noticed."""
        if not self._done.is_set():

            async def watch() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                exchange.gone()
                self.leave()

            async with asyncio.TaskGroup() as group:
                watching = group.create_task(watch())
                await self._done.wait()
                watching.cancel()
        await self.finish()


def _start(exchange: Exchange, status: int, headers: bytes) -> Message:
    lines = (cors.LINES if exchange.endpoint.cors else b"") + headers
    pairs = [tuple(line.split(b": ", 1)) for line in lines.split(b"\r\n") if line]
    return {
        "type": "http.response.start",
        "status": status,
        "headers": [(name.lower(), value) for name, value in pairs],
    }


async def _live(receive: Receive, send: Send) -> None:
    """The lifespan protocol: `app` starts and stops what is behind the site, not this."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == _SHUTDOWN:
            return


_SHUTDOWN: Final = "lifespan.shutdown"
