"""A request's body as it arrives, for endpoints that must not hold it whole."""

import asyncio
from collections import deque
from collections.abc import Callable

HIGH_WATER = 256 * 1024
"""Bytes held for a slow reader before the client is made to wait."""


class BodyStream:
    """Pieces of a body, once, by one reader: `async for piece in body`.

    Raises what ended the body early: `ClientGone`, `TooSlow`, `TooLarge`, `MalformedRequest`.
    Whoever pulls makes room, and the connection reads on (back-pressure).
    """

    __slots__ = ("_ended", "_error", "_on_pull", "_pieces", "_waiter", "length", "size")

    def __init__(self, length: int | None, on_pull: Callable[[], None]) -> None:
        self.length = length
        """The declared length in bytes; None for a chunked body."""
        self.size = 0
        """Bytes held here now."""
        self._on_pull: Callable[[], None] | None = on_pull
        self._pieces: deque[bytes] = deque()
        self._ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def __aiter__(self) -> "BodyStream":
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            self._pull()
            if self._pieces or self._ended or self._error is not None:
                continue  # what was held back arrived while pulling
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        piece = self._pieces.popleft()
        self.size -= len(piece)
        if self.size < HIGH_WATER:
            self._pull()
        return piece

    @property
    def full(self) -> bool:
        return self.size >= HIGH_WATER

    @property
    def ended(self) -> bool:
        """Whether the body has arrived whole (it may still be held here)."""
        return self._ended

    def push(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self.size += len(piece)
        self._wake()

    def end(self) -> None:
        self._ended = True
        self._on_pull = None
        self._wake()

    def fail(self, error: Exception) -> None:
        """Ends the body early; what is held is dropped, since the whole can't be had."""
        if not self._ended and self._error is None:
            self._error = error
            self._pieces.clear()
            self.size = 0
            self._on_pull = None
            self._wake()

    def _pull(self) -> None:
        if self._on_pull is not None:
            self._on_pull()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
