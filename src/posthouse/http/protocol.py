"""HTTP/1.1 over one connection (RFC 9110, RFC 9112), on httptools' parser.

Requests are answered in their order: one is *current*, those read ahead wait in `pending`.

(1) What a client can make the server hold is bounded: the head, the body, the requests read
    ahead (the socket is then not read), the answer not taken (the next request then waits).
(2) What a client can make the server wait for is bounded: one sweep looks at all connections, so
    that no request needs a timer (`overdue`).
(3) After a request whose end isn't certain, nothing on the connection is read as a request: it is
    answered and closed, lingering so that the answer arrives (RFC 9112 §9.6).
(4) `connection_lost` clears what holds others: a connection leaves no cycle behind.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final, cast

import httptools

from posthouse.http.bodies import BodyStream
from posthouse.http.errors import (
    ClientGone,
    CodingUnknown,
    ExpectationUnknown,
    HeadTooLarge,
    MalformedRequest,
    TargetTooLong,
    TooBusy,
    TooSlow,
    VersionUnsupported,
)
from posthouse.http.exchange import Exchange
from posthouse.http.heads import has_no_body
from posthouse.http.routes import UNBOUNDED
from posthouse.http.targets import split_target
from posthouse.matrix import Refusal, TooLarge
from posthouse.std.faults import Unavailable

if TYPE_CHECKING:
    from posthouse.http.server import Server

SLICE: Final = 16 * 1024
"""Bytes given to the parser at once: what it reads ahead can only be stopped in between."""

_SILENT_MAX: Final = 16 * 1024
"""Bytes of a body's framing (chunk extensions, trailers) without any body between."""

_ONE_WRITE: Final = 64 * 1024
"""Up to here head and body are joined into one write; a larger body isn't copied."""

_NEVER: Final = math.inf

# Where reading stands. Plain numbers: they are compared for every piece that arrives.
_IDLE: Final = 0  # between requests
_HEAD: Final = 1
_BODY: Final = 2
_DEAF: Final = 3  # nothing that arrives is read as a request any more


class Connection(asyncio.Protocol):
    """One client's connection."""

    __slots__ = (
        "advancing",
        "body_size",
        "closing",
        "current",
        "deadline",
        "duplicates",
        "expects_continue",
        "feeding",
        "head_bytes",
        "headers",
        "held",
        "incoming",
        "lingers",
        "mark",
        "parser",
        "peer",
        "pending",
        "phase",
        "pieces",
        "reading_paused",
        "server",
        "silent",
        "target",
        "transport",
        "weight",
        "writable",
        "write_deadline",
        "write_mark",
        "write_paused",
    )

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.transport: asyncio.Transport | None = None
        self.parser: Any = None
        self.peer = ""
        self.phase = _IDLE
        self.closing = False
        """The last answer is out: nothing more is written."""
        self.lingers = False
        """What arrived was no request: more of it may be on its way when the answer goes out."""
        # Reading a request
        self.target = b""
        self.headers: dict[bytes, bytes] = {}
        self.head_bytes = 0
        self.duplicates = 0
        self.incoming: Exchange | None = None
        """The request whose body is being read."""
        self.pieces: list[bytes] | None = None
        self.body_size = 0
        self.silent = 0
        self.expects_continue = False
        self.feeding = False
        self.held: bytes | None = None
        """What arrived and can't be parsed yet, while reading is paused."""
        self.reading_paused = False
        # Answering
        self.current: Exchange | None = None
        self.pending: list[Exchange] = []
        self.advancing = False
        self.write_paused = False
        self.writable: asyncio.Future[None] | None = None
        # Bounds
        self.weight = 0
        """Bytes of bodies held for this connection's requests."""
        self.deadline = _NEVER
        self.mark = 0
        """Bytes of body that arrived in this window."""
        self.write_deadline = _NEVER
        self.write_mark = 0

    # The event loop's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        server = self.server
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if isinstance(peer, tuple) else ""
        self.parser = httptools.HttpRequestParser(self)
        self.deadline = server.now + server.settings.idle_seconds
        if not server.admit(self):
            self._reject(TooBusy("too many connections"))

    def data_received(self, data: bytes) -> None:
        if self.phase == _DEAF:
            return
        if self.held is not None:
            self.held += data
        elif len(data) <= SLICE:
            self._feed(data)
        else:
            self._feed_slices(data)

    def eof_received(self) -> bool:
        """The client sends no more. Whoever waits in a poll has gone; a request in the middle of
        being answered gets its answer."""
        current = self.current
        if current is None or current.endpoint.is_poll or self.closing or self.incoming is current:
            return False
        if self.incoming is not None:
            self._abandon_incoming(MalformedRequest("The body ends too early."))
        self.phase = _DEAF
        self.deadline = _NEVER
        last = self.pending[-1] if self.pending else current
        last.keep_alive = False
        return True

    def connection_lost(self, error: Exception | None) -> None:
        server = self.server
        server.forget(self)
        incoming, current, pending = self.incoming, self.current, self.pending
        self.transport = None
        self.parser = None
        self.incoming = self.current = None
        self.pending = []
        self.pieces = self.held = None
        self.phase = _DEAF
        self.closing = True
        if self.writable is not None and not self.writable.done():
            self.writable.set_exception(ClientGone())
        server.buffered -= self.weight
        self.weight = 0
        if incoming is not None and incoming is not current:
            incoming.gone()
        for exchange in pending:
            exchange.gone()
        if current is not None:
            current.gone()

    def pause_writing(self) -> None:
        self.write_paused = True
        if self.transport is not None:
            self.write_mark = self.transport.get_write_buffer_size()
        self.write_deadline = self.server.now + self.server.settings.send_seconds

    def resume_writing(self) -> None:
        self.write_paused = False
        if not self.closing:
            self.write_deadline = _NEVER
        if self.writable is not None and not self.writable.done():
            self.writable.set_result(None)
        self._advance()

    # Feeding the parser

    def _feed(self, data: bytes | memoryview) -> None:
        if self.phase == _IDLE:
            self._start_head()
        before = self.body_size
        self.feeding = True
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.phase = _DEAF  # the request is served as it is, and the connection closed after it
        except httptools.HttpParserError as error:
            if self.phase != _DEAF:
                self._reject(_cause(error))
        finally:
            self.feeding = False
        if self.phase == _HEAD:
            self.head_bytes += len(data)
            if self.head_bytes > self.server.settings.head_bytes_max:
                self._reject(HeadTooLarge())
        elif self.phase == _BODY:
            self.mark += len(data)
            self.silent = self.silent + len(data) if self.body_size == before else 0
            if self.silent > _SILENT_MAX:
                self._reject(MalformedRequest("The body is framed wastefully."))
        if (self.pending or self.incoming is not None) and self._is_full():
            self._pause_reading()

    def _feed_slices(self, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(data), SLICE):
            if self.phase == _DEAF:
                return
            if self._is_full():
                self.held = bytes(view[start:])
                self._pause_reading()
                return
            self._feed(view[start : start + SLICE])

    def _start_head(self) -> None:
        self.phase = _HEAD
        self.head_bytes = 0
        self.deadline = self.server.now + self.server.settings.head_seconds

    # The parser's calls

    def on_url(self, piece: bytes) -> None:
        if self.phase == _IDLE:
            self._start_head()  # a pipelined request begins in the middle of a piece
        self.target = self.target + piece if self.target else piece
        if len(self.target) > self.server.settings.target_bytes_max:
            raise TargetTooLong

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.phase != _HEAD:
            return  # a trailer: nothing here needs one
        name = name.lower()
        headers = self.headers
        if name in headers:
            self.duplicates += 1
            if name in _SINGLE or self.duplicates > self.server.settings.headers_max:
                raise MalformedRequest("A header is repeated that may not be.")
            value = headers[name] + b", " + value
        headers[name] = value

    def on_headers_complete(self) -> None:
        if self.phase == _DEAF:
            return
        parser = self.parser
        headers, self.headers = self.headers, {}
        target, self.target = self.target, b""
        duplicates, self.duplicates = self.duplicates, 0
        settings = self.server.settings
        if len(headers) + duplicates > settings.headers_max:
            raise HeadTooLarge
        if self.head_bytes > settings.head_bytes_max - SLICE and (
            sum(len(name) + len(value) + 4 for name, value in headers.items()) + len(target)
            > settings.head_bytes_max
        ):
            raise HeadTooLarge
        keep_alive: bool = parser.should_keep_alive()
        old = False
        if not keep_alive or b"connection" in headers:
            version: str = parser.get_http_version()
            if version not in ("1.1", "1.0"):
                raise VersionUnsupported
            if version == "1.0":
                old, keep_alive = True, False
        if b"host" not in headers and not old:
            raise MalformedRequest("A request names its host.")  # RFC 9112 §3.2
        length = headers.get(b"content-length")
        coding = headers.get(b"transfer-encoding")
        if coding is not None and (old or coding.strip().lower() != b"chunked"):
            # RFC 9112 §6.1: faulty framing from an old client; a coding that is not ours.
            raise MalformedRequest if old else CodingUnknown
        if b"upgrade" in headers and parser.should_upgrade():
            if length is not None or coding is not None:
                raise MalformedRequest("No upgrade is served to a request with a body.")
            keep_alive = False
        method = parser.get_method().decode("ascii")
        if method == "CONNECT":
            raise MalformedRequest("This is no proxy.")
        path, query = split_target(target)
        exchange = Exchange(self.server.site, self, method, path, query, headers, keep_alive)
        exchange.is_old = old
        self.incoming = exchange
        self.phase = _BODY
        self.body_size = 0
        if length is not None or coding is not None:
            self._expect_body(exchange, None if length is None else int(length), old)
        elif exchange.endpoint.streams_body:
            exchange.stream = BodyStream(0, self.want_body)
            self._enqueue(exchange)

    def on_body(self, piece: bytes) -> None:
        exchange = self.incoming
        if exchange is None or self.phase == _DEAF:
            return
        size = self.body_size = self.body_size + len(piece)
        limit = exchange.endpoint.body_limit
        if size > limit != UNBOUNDED:
            raise TooLarge
        if exchange.stream is not None:
            exchange.stream.push(piece)
            return
        self.weight += len(piece)
        exchange.weight += len(piece)
        server = self.server
        server.buffered += len(piece)
        if server.buffered > server.settings.buffered_bytes_max:
            raise TooBusy("too many bodies at once")
        if self.pieces is not None:
            self.pieces.append(piece)
        elif exchange.body:
            self.pieces = [exchange.body, piece]
        else:
            exchange.body = piece

    def on_message_complete(self) -> None:
        exchange, self.incoming = self.incoming, None
        if exchange is None or self.phase == _DEAF:
            return
        self.expects_continue = False
        self.phase = _IDLE
        self.deadline = _NEVER
        self.silent = 0
        if not exchange.keep_alive:
            self.phase = _DEAF
        if exchange.stream is not None:
            exchange.stream.end()
            return
        if self.pieces is not None:
            exchange.body = b"".join(self.pieces)
            self.pieces = None
        self._enqueue(exchange)

    def _expect_body(self, exchange: Exchange, length: int | None, old: bool) -> None:
        """A body follows the head. Raises what refuses it."""
        server = self.server
        limit = exchange.endpoint.body_limit
        if length is not None and length > limit != UNBOUNDED:
            raise TooLarge
        expectation = exchange.headers.get(b"expect")
        if expectation is not None and not old:
            if expectation.strip().lower() != b"100-continue":
                raise ExpectationUnknown
            self.expects_continue = length != 0
        self.mark = 0
        self.deadline = server.now + server.settings.body_window_seconds
        if exchange.endpoint.streams_body:
            exchange.stream = BodyStream(length, self.want_body)
            self._enqueue(exchange)
        elif self.expects_continue and self.current is None and not self.pending:
            self._continue()

    # The order of requests

    def _enqueue(self, exchange: Exchange) -> None:
        if self.current is None and not self.pending and not self.write_paused:
            self.current = exchange
            self.advancing = True
            self.server.site.handle(exchange)
            self.advancing = False
            if self.current is None:
                self._settle()
        else:
            self.pending.append(exchange)
            self._advance()

    def _advance(self) -> None:
        """Gives the next requests to their handlers, as far as they are answered at once."""
        if self.advancing:
            return
        self.advancing = True
        while self.current is None and self.pending and not self.write_paused and not self.closing:
            self.current = self.pending.pop(0)
            self.server.site.handle(self.current)
        self.advancing = False
        if self.current is None:
            self._settle()

    def _settle(self) -> None:
        """Nothing is being answered: reads on, waits for the next request, or ends."""
        if self.closing or self.pending:
            return
        if self.phase == _DEAF or self.server.draining:
            if self.incoming is None:
                self._close()
            return
        if self.phase == _IDLE:
            self.deadline = self.server.now + self.server.settings.idle_seconds
        elif self.phase == _BODY and self.expects_continue:
            exchange = self.incoming
            if exchange is not None and exchange.stream is None:
                self._continue()
        self._read_on()

    def _finished(self, exchange: Exchange) -> None:
        """The current exchange has its answer."""
        self.current = None
        exchange.carrier = None
        if exchange.weight:
            self.weight -= exchange.weight
            self.server.buffered -= exchange.weight
            exchange.weight = 0
        if self.incoming is exchange:
            # Answered before its body was read: what follows can't be told from it.
            self.incoming = None
            assert exchange.stream is not None
            exchange.stream.fail(ClientGone())
            self._linger()
        elif not exchange.keep_alive or self.server.draining:
            if self.lingers:
                self._linger()
            else:
                self._close()
        elif not self.advancing:
            self._advance()

    # Back-pressure

    def _is_full(self) -> bool:
        if len(self.pending) >= self.server.settings.pipeline_max:
            return True
        incoming = self.incoming
        return incoming is not None and incoming.stream is not None and incoming.stream.full

    def want_body(self) -> None:
        """A reader of a streamed body has room."""
        if self.expects_continue and self.incoming is self.current:
            self._continue()
        self._read_on()

    def _read_on(self) -> None:
        """Parses what was held back and reads the socket again, unless there is still no room."""
        if self.feeding or not self.reading_paused:
            return
        while self.held is not None:
            if self._is_full() or self.phase == _DEAF:
                return
            held, self.held = self.held, None
            self._feed_slices(held)
        if not self._is_full() and self.transport is not None:
            self.reading_paused = False
            if self.phase == _BODY:
                self.mark = 0
                self.deadline = self.server.now + self.server.settings.body_window_seconds
            self.transport.resume_reading()

    def _pause_reading(self) -> None:
        if not self.reading_paused and self.transport is not None:
            self.reading_paused = True
            self.transport.pause_reading()

    # Answering

    def answer(self, exchange: Exchange, status: int, headers: bytes | None, body: bytes) -> None:
        """Sends a whole answer (see `Carrier`)."""
        transport = self.transport
        if transport is None or exchange is not self.current or self.closing:
            return
        server = self.server
        if (
            headers is None
            and exchange.keep_alive
            and not server.draining
            and self.incoming is not exchange
        ):
            head = server.heads.json_ok if status == 200 else server.heads.json(status)
            head = b"%s%d\r\n\r\n" % (head, len(body))
        else:
            if headers is None:
                headers = b"Content-Type: application/json\r\n"
            if not has_no_body(status):
                headers += b"Content-Length: %d\r\n" % len(body)
            head = self._head(exchange, status, headers)
        if exchange.is_head or has_no_body(status):
            transport.write(head)
        elif len(body) <= _ONE_WRITE:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
        self._finished(exchange)

    async def stream(
        self,
        exchange: Exchange,
        status: int,
        headers: bytes,
        body: AsyncIterator[bytes],
        length: int | None,
    ) -> None:
        """Sends an answer piece by piece, no faster than the client takes it (see `Carrier`)."""
        if self.transport is None or exchange is not self.current or self.closing:
            raise ClientGone
        chunked = False
        if length is not None:
            headers += b"Content-Length: %d\r\n" % length
        elif not exchange.is_old:
            headers += b"Transfer-Encoding: chunked\r\n"
            chunked = True
        # Otherwise the end of the connection ends the body: HTTP/1.0 knows no chunks.
        self.transport.write(self._head(exchange, status, headers))
        if not exchange.is_head and not has_no_body(status):
            await self._pump(body, length, chunked)
        self._finished(exchange)

    async def _pump(self, body: AsyncIterator[bytes], length: int | None, chunked: bool) -> None:
        sent = 0
        async for piece in body:
            if not piece:
                continue
            if self.write_paused:
                await self._until_writable()
            if self.transport is None:
                raise ClientGone
            sent += len(piece)
            if length is not None and sent > length:
                raise RuntimeError("more was streamed than promised")
            if chunked:
                self.transport.writelines((b"%x\r\n" % len(piece), piece, b"\r\n"))
            else:
                self.transport.write(piece)
        if length is not None and sent != length:
            raise RuntimeError("less was streamed than promised")
        if self.transport is None:
            raise ClientGone
        if chunked:
            self.transport.write(b"0\r\n\r\n")

    async def _until_writable(self) -> None:
        self.writable = asyncio.get_running_loop().create_future()
        try:
            await self.writable
        finally:
            self.writable = None

    def cut(self, exchange: Exchange) -> None:
        """Ends the connection in the middle of an answer (see `Carrier`)."""
        if exchange is self.current and self.transport is not None:
            self.transport.abort()

    def _head(self, exchange: Exchange, status: int, headers: bytes) -> bytes:
        start = self.server.heads.start(status, with_cors=exchange.endpoint.cors)
        if exchange.keep_alive and not self.server.draining and self.incoming is not exchange:
            return start + headers + b"\r\n"
        return start + headers + b"Connection: close\r\n\r\n"

    def _continue(self) -> None:
        self.expects_continue = False
        if self.transport is not None and not self.closing:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # Ends

    def _reject(self, error: Exception) -> None:
        """What arrives is no request: answers that after all before it, then closes."""
        if self.phase == _DEAF or self.transport is None:
            return
        self.phase = _DEAF
        self.lingers = True
        self.deadline = _NEVER
        self.held = None
        self.pieces = None
        if self.incoming is not None and self.incoming.stream is not None:
            self._abandon_incoming(error)
            return
        if self.incoming is not None:
            self._lose_weight(self.incoming)
            self.incoming = None
        refused = Exchange(self.server.site, self, "GET", "*", "", {}, False)
        refused.endpoint = _Rejecting(error)
        self._enqueue(refused)

    def _abandon_incoming(self, error: Exception) -> None:
        """The body of a request that already runs can't arrive: its handler answers."""
        exchange = self.incoming
        if exchange is not None:
            exchange.keep_alive = False
            if exchange.stream is not None:
                exchange.stream.fail(error)
            else:
                self._lose_weight(exchange)
                self.incoming = None

    def _lose_weight(self, exchange: Exchange) -> None:
        self.weight -= exchange.weight
        self.server.buffered -= exchange.weight
        exchange.weight = 0

    def _close(self) -> None:
        """Closes after what is written was taken."""
        if self.transport is not None and not self.closing:
            self.closing = True
            self.phase = _DEAF
            self.deadline = _NEVER
            self._drop_pending()
            self.write_mark = self.transport.get_write_buffer_size()
            self.write_deadline = self.server.now + self.server.settings.send_seconds
            self.transport.close()

    def _linger(self) -> None:
        """Closes the sending side and reads on for a while: closing at once would reset the
        connection, and the client might never see the answer."""
        if self.transport is None or self.closing:
            return
        self.closing = True
        self.phase = _DEAF
        self.held = None
        self._drop_pending()
        self.deadline = self.server.now + self.server.settings.linger_seconds
        if self.reading_paused:
            self.reading_paused = False
            self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _drop_pending(self) -> None:
        pending, self.pending = self.pending, []
        for exchange in pending:
            self._lose_weight(exchange)
            exchange.gone()

    def drain(self) -> None:
        """The server stops: a poll answers, a running request goes on, an idle client leaves."""
        if self.current is not None:
            self.current.drain()
        elif self.incoming is None or self.phase != _BODY:
            self._close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def overdue(self) -> None:
        """A deadline has passed: of the next request, its head, its body, or of the answer."""
        server = self.server
        if self.write_deadline <= server.now:
            self._overdue_writing()
        if self.deadline > server.now or self.transport is None:
            return
        if self.phase == _BODY:
            if self.reading_paused or self.mark >= server.settings.body_window_bytes:
                self.mark = 0
                self.deadline = server.now + server.settings.body_window_seconds
            else:
                self._reject(TooSlow())
        elif self.phase == _HEAD:
            if self.reading_paused:
                self.deadline = server.now + server.settings.head_seconds
            else:
                self._reject(TooSlow())
        elif self.phase == _IDLE:
            if self.write_paused:  # it still takes its last answer
                self.deadline = server.now + server.settings.idle_seconds
            else:
                self._close()
        else:
            self.transport.abort()  # lingered long enough

    def _overdue_writing(self) -> None:
        if self.transport is None:
            return
        left = self.transport.get_write_buffer_size()
        if left == 0 and not self.closing:
            self.write_deadline = _NEVER
        elif self.write_mark - left < _LEAST_TAKEN:
            self.transport.abort()
        else:
            self.write_mark = left
            self.write_deadline = self.server.now + self.server.settings.send_seconds


_LEAST_TAKEN: Final = 1024
"""Bytes that a client must take of its answer in each span of `send_seconds`."""

_SINGLE: Final = frozenset(
    (b"host", b"authorization", b"content-length", b"transfer-encoding", b"expect")
)


class _Rejecting:
    """Answers what could not be read as a request, and ends the connection."""

    name: Final = "unreadable request"
    body_limit: Final = 0
    streams_body: Final = False
    is_poll: Final = False
    cors: Final = True
    __slots__ = ("_error",)

    def __init__(self, error: Exception) -> None:
        self._error = error

    def serve(self, exchange: Exchange) -> None:
        exchange.fail(self._error)


def _cause(error: httptools.HttpParserError) -> Exception:
    """What a parser's callback raised, or the parser's own complaint."""
    cause = error.__context__
    if isinstance(cause, Refusal | Unavailable):
        return cause
    if isinstance(error, httptools.HttpParserCallbackError) and isinstance(cause, Exception):
        return cause  # ours: a bug is answered as one
    return MalformedRequest()
