"""One request and its one answer, whatever carries them.

(1) An exchange is answered exactly once: the first answer counts, later ones are dropped.
(2) An answer to a client that has gone is dropped as well; `on_gone` has been called by then.
(3) Nothing that a handler raises escapes: it becomes an answer.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog
from msgspec import Struct

from posthouse.http.answers import FileBody, RawJson, Reply, decline, encode_json, header_lines
from posthouse.http.bodies import BodyStream
from posthouse.http.errors import ClientGone, TooBusy
from posthouse.http.targets import parse_query
from posthouse.matrix import Refusal
from posthouse.std.faults import Unavailable

if TYPE_CHECKING:
    from posthouse.http.site import Endpoint, Site

_log: Final = structlog.get_logger("posthouse.http")

_NO_HEADERS: Final[dict[bytes, bytes]] = {}
_FILE_PIECE: Final = 256 * 1024


class Carrier(Protocol):
    """What brings the answer to the client: a connection of ours, or an ASGI server's."""

    @property
    def peer(self) -> str:
        """The address at the other end, which may be a proxy's."""
        ...

    def answer(self, exchange: "Exchange", status: int, headers: bytes | None, body: bytes) -> None:
        """Sends a whole answer; `headers` None means JSON."""
        ...

    async def stream(
        self,
        exchange: "Exchange",
        status: int,
        headers: bytes,
        body: AsyncIterator[bytes],
        length: int | None,
    ) -> None:
        """Sends an answer piece by piece. Raises `ClientGone`; never answers otherwise."""
        ...

    def cut(self, exchange: "Exchange") -> None:
        """Ends the connection in the middle of an answer, so that it can't pass for whole."""
        ...


class Exchange:
    """A request on its way to an answer; what a poll's handler holds while it waits.

    A poll's handler reads what came with the request before it returns: headers and body are
    dropped then, since thousands wait at once.
    """

    __slots__ = (
        "_answered",
        "arguments",
        "body",
        "carrier",
        "endpoint",
        "headers",
        "is_head",
        "is_old",
        "keep_alive",
        "method",
        "on_drain",
        "on_gone",
        "path",
        "raw_query",
        "site",
        "stream",
        "weight",
    )

    def __init__(
        self,
        site: "Site",
        carrier: Carrier,
        method: str,
        path: str,
        raw_query: str,
        headers: dict[bytes, bytes],
        keep_alive: bool,
    ) -> None:
        self.site = site
        self.carrier: Carrier | None = carrier
        self.method = method
        self.path = path
        """Raw: still percent-encoded."""
        self.raw_query = raw_query
        self.headers = headers
        self.keep_alive = keep_alive
        """Whether the client would use the connection again."""
        self.is_head = method == "HEAD"
        if self.is_head:
            headers.pop(b"range", None)  # means something with GET alone (RFC 9110 §14.2)
        self.is_old = False
        """HTTP/1.0."""
        self.body: bytes = b""
        self.weight = 0
        """Bytes of body that the connection accounts for."""
        self.stream: BodyStream | None = None
        self.on_gone: Callable[[], None] | None = None
        """Called once if the client goes away before the answer."""
        self.on_drain: Callable[[], None] | None = None
        """Called when the server stops: answer now."""
        self._answered = False
        self.endpoint: Endpoint
        self.arguments: list[str]
        site.find(self)

    # What was asked

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, of a repeated one the first. Parsed at each access."""
        query: dict[str, str] = {}
        for name, value in parse_query(self.raw_query):
            query.setdefault(name, value)
        return query

    def header(self, name: str) -> str | None:
        """A header's value; repeated ones are joined by commas."""
        raw = self.headers.get(name.lower().encode())
        return None if raw is None else raw.decode("utf-8", "replace")

    @property
    def address(self) -> str:
        """The client's address, as far as trusted proxies tell; empty once it has gone."""
        if self.carrier is None:
            return ""
        return self.site.trust.client_address(self.carrier.peer, self.header("x-forwarded-for"))

    # The answer

    @property
    def is_open(self) -> bool:
        """Whether an answer would still reach anyone."""
        return self.carrier is not None and not self._answered

    def answer(self, body: bytes, status: int = 200) -> None:
        """Answers with JSON that is already bytes."""
        carrier = self.carrier
        if carrier is not None and not self._answered:
            self._answered = True
            self.on_gone = self.on_drain = None  # they hold this exchange, as a rule
            carrier.answer(self, status, None, body)

    def reply(self, result: object) -> None:
        """Answers with what a handler returned."""
        if isinstance(result, RawJson):
            self.answer(result.body, result.status)
        elif isinstance(result, Struct):
            self.answer(encode_json(result))
        elif isinstance(result, Reply):
            if isinstance(result.body, bytes):
                self.answer_with(result.status, header_lines(result.headers), result.body)
            else:
                self.spawn(self._send(result))
        else:
            raise TypeError(f"{self.endpoint.name} returned {type(result).__name__}, no answer")

    def answer_with(self, status: int, headers: bytes, body: bytes) -> None:
        """Answers with headers as lines, each ended."""
        carrier = self.carrier
        if carrier is not None and not self._answered:
            self._answered = True
            self.on_gone = self.on_drain = None
            carrier.answer(self, status, headers, body)

    def refuse(self, refusal: Refusal, headers: bytes = b"") -> None:
        """Answers no."""
        declined = decline(refusal)
        self.answer_with(declined.status, header_lines(declined.headers) + headers, declined.body)

    def fail(self, error: BaseException) -> None:
        """Answers with whatever an exception means; faults and bugs are logged, never bodies."""
        if isinstance(error, Unavailable) and not isinstance(error, TooBusy):
            _log.warning("unavailable", route=self.endpoint.name, reason=str(error))
        elif not isinstance(error, Refusal | Unavailable | ClientGone | asyncio.CancelledError):
            _log.error("handler failed", route=self.endpoint.name, exc_info=error)
        if self._answered and self.carrier is not None:
            self.carrier.cut(self)  # the head is out: all that is left is not to finish
            return
        try:
            declined = decline(error)
            headers = header_lines(declined.headers)
        except Exception as second:  # a refusal whose `extra` is no JSON
            _log.error("refusal failed", route=self.endpoint.name, exc_info=second)
            declined = decline(second)
            headers = header_lines(declined.headers)
        self.answer_with(declined.status, headers, declined.body)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs a coroutine for this request, in a task that the server owns."""
        self.site.tasks.start(self._guard(work))

    # For the carrier

    def gone(self) -> None:
        """The client went away."""
        self.carrier = None
        on_gone, self.on_gone, self.on_drain = self.on_gone, None, None
        if self.stream is not None:
            self.stream.fail(ClientGone())
        if on_gone is not None and not self._answered:
            self._call(on_gone)

    def drain(self) -> None:
        """The server stops: a poll answers now, a running request goes on."""
        on_drain, self.on_drain = self.on_drain, None
        if on_drain is not None:
            self._call(on_drain)
        elif self.endpoint.is_poll:
            self.answer_stopping()

    def answer_stopping(self) -> None:
        """Answers 503: the server is stopping."""
        declined = decline(Unavailable("stopping"))
        self.answer_with(declined.status, header_lines(declined.headers), declined.body)

    def forget_request(self) -> None:
        self.headers = _NO_HEADERS
        self.body = b""

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception as error:
            self.fail(error)

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            if self._answered:
                self.fail(Unavailable("stopping"))
            else:
                self.answer_stopping()
            raise
        except Exception as error:
            self.fail(error)

    async def _send(self, reply: Reply) -> None:
        """A body in pieces; what fails before the first is answered properly."""
        headers = dict(reply.headers)
        if isinstance(reply.body, FileBody):
            file = await _OpenFile.open(reply.body)
            try:
                await self._stream(reply.status, headers, file.pieces(), reply.body.length)
            finally:
                file.close()
            return
        assert not isinstance(reply.body, bytes)
        length = None
        for name in list(headers):
            if name.lower() == "content-length":
                length = int(headers.pop(name))
        await self._stream(reply.status, headers, reply.body, length)

    async def _stream(
        self, status: int, headers: dict[str, str], body: AsyncIterator[bytes], length: int | None
    ) -> None:
        carrier = self.carrier
        try:
            lines = header_lines(headers)
            if carrier is None or self._answered:
                return
            self._answered = True
            self.on_gone = self.on_drain = None
            await carrier.stream(self, status, lines, body, length)
        finally:
            aclose = getattr(body, "aclose", None)
            if aclose is not None:
                await aclose()


class _OpenFile:
    """A span of a file, read in a thread: a cold disk must not hold the loop."""

    __slots__ = ("_descriptor", "_length", "_offset")

    def __init__(self, descriptor: int, offset: int, length: int) -> None:
        self._descriptor = descriptor
        self._offset = offset
        self._length = length

    @classmethod
    async def open(cls, body: FileBody) -> "_OpenFile":
        """Raises `Unavailable` where the file can't be opened."""

        def opened(path: Path) -> int:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

        loop = asyncio.get_running_loop()
        try:
            descriptor = await loop.run_in_executor(None, opened, body.path)
        except OSError as error:
            raise Unavailable(f"file not readable: {error.strerror}") from error
        return cls(descriptor, body.offset, body.length)

    async def pieces(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        offset, left = self._offset, self._length
        while left > 0:
            piece = await loop.run_in_executor(
                None, os.pread, self._descriptor, min(left, _FILE_PIECE), offset
            )
            if not piece:
                return  # shorter than promised: the carrier sees the missing bytes
            offset += len(piece)
            left -= len(piece)
            yield piece

    def close(self) -> None:
        os.close(self._descriptor)
