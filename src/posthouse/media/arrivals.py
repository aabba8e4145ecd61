"""Waiting for uploads that were announced: who asks for one before it came is told when it comes.

An upload may come to another process: a bell rings here only for those that came to this one, so
whoever waits also looks again from time to time.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from posthouse.media.model import MediaId

LOOK_AGAIN_S: Final = 1.0
_WAITING_MAX: Final = 1_000


class Arrivals:
    """A bell for each upload that somebody waits for. The event loop's."""

    def __init__(self) -> None:
        self._bells: dict[MediaId, Bell] = {}
        self._waiting = 0

    @contextmanager
    def bell(self, media_id: MediaId) -> "Iterator[Bell | None]":
        """What `ring` rings from here on; None where too many are waiting already."""
        if self._waiting >= _WAITING_MAX:
            yield None
            return
        bell = self._bells.setdefault(media_id, Bell())
        bell.heard_by += 1
        self._waiting += 1
        try:
            yield bell
        finally:
            self._waiting -= 1
            bell.heard_by -= 1
            if not bell.heard_by:
                del self._bells[media_id]

    def ring(self, media_id: MediaId) -> None:
        """It came, and its row is committed."""
        bell = self._bells.get(media_id)
        if bell is not None:
            bell.rang.set()


class Bell:
    """Rings once."""

    __slots__ = ("heard_by", "rang")

    def __init__(self) -> None:
        self.rang = asyncio.Event()
        self.heard_by = 0

    async def wait(self, seconds_max: float) -> None:
        """Returns when it rang, and after `LOOK_AGAIN_S` or `seconds_max` at the latest."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds_max, LOOK_AGAIN_S)):
                await self.rang.wait()
