"""Consumers of the user streams: behind the writer, at least once, each with a durable cursor.

(1) A consumer is handed a stream's entries in order, those after its cursor first.
(2) The cursor moves only after `handle` returned, so an entry may come twice and none is skipped:
    `handle` is idempotent.
(3) A fault is outlived: the same entries come again after a pause.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import structlog

from posthouse.matrix import UserId
from posthouse.std.faults import Unavailable
from posthouse.streams.levels import position_of, row_id
from posthouse.streams.user_streams import EntryKind, UserEntry, UserStreams, Write

_log = structlog.get_logger(__name__)

ENTRIES_PER_READ: Final = 200

_READ: Final = """
    SELECT id, user_id, kind, subject, device_id FROM user_entries
    WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3
"""

GET_USER_CURSOR: Final = """
    SELECT position FROM user_cursors WHERE consumer = $1 AND source = $2 AND target = $3
"""

SET_USER_CURSOR: Final = """
    INSERT INTO user_cursors (consumer, source, target, position) VALUES ($1, $2, $3, $4)
    ON CONFLICT (consumer, source, target) DO UPDATE SET position = excluded.position
        WHERE user_cursors.position < excluded.position
"""

_RETRY_S: Final = 0.5


class Consumer(Protocol):
    """Something that follows what happens to people."""

    name: str
    kinds: frozenset[EntryKind]

    async def handle(self, entries: Sequence[UserEntry]) -> None: ...


class ConsumerLoop:
    """Runs one consumer over all user streams; `run` is a task of whoever starts it."""

    def __init__(self, streams: UserStreams, consumer: Consumer) -> None:
        self._streams = streams
        self._consumer = consumer
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._closed = False
        self._positions: dict[int, int] = {}
        self._targets: dict[int, int] = {}
        streams.listen(self._heard)
        streams.listen_reset(self._was_reset)

    async def start(self) -> None:
        """Reads the cursors, before the writers commit anything new."""
        for stream in self._streams.streams.ids:
            row = await self._streams.reader().fetch_one(
                GET_USER_CURSOR, self._consumer.name, stream, stream
            )
            self._positions[stream] = row[0] if row else 0
            self._targets[stream] = self._streams.head(stream)
        self._wake.set()

    def close(self) -> None:
        self._closed = True
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            if self._closed:
                return
            self._wake.clear()
            try:
                for stream in self._streams.streams.ids:
                    await self._catch_up(stream)
            except Unavailable as fault:
                _log.warning("consumer waits", consumer=self._consumer.name, fault=str(fault))
                await asyncio.sleep(_RETRY_S)
                self._wake.set()

    async def wait_until_idle(self) -> None:
        """Until everything that was announced is handled."""
        while not self._is_idle():
            self._moved.clear()
            await self._moved.wait()

    async def wait_until(self, stream: int, position: int, *, timeout_s: float) -> bool:
        """Whether the consumer came that far in a stream within the time."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._positions[stream] < position:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    def _is_idle(self) -> bool:
        return all(self._positions[s] >= target for s, target in self._targets.items())

    def _heard(self, entries: Sequence[UserEntry]) -> None:
        for entry in entries:
            if entry.kind in self._consumer.kinds and entry.position:
                self._targets[entry.stream] = entry.position
                self._wake.set()

    def _was_reset(self, stream: int) -> None:
        """An announcement was lost: everything up to the head is looked at."""
        self._targets[stream] = max(self._targets.get(stream, 0), self._streams.head(stream))
        self._wake.set()

    async def _catch_up(self, stream: int) -> None:
        while self._positions[stream] < (target := self._targets[stream]):
            rows = await self._streams.reader().fetch_all(
                _READ,
                row_id(stream, self._positions[stream]),
                row_id(stream, target),
                ENTRIES_PER_READ,
            )
            entries = [
                UserEntry(
                    stream, position_of(row[0]), UserId(row[1]), EntryKind(row[2]), row[3], row[4]
                )
                for row in rows
                if row[2] in self._consumer.kinds
            ]
            if entries:
                await self._consumer.handle(entries)
            reached = position_of(rows[-1][0]) if len(rows) == ENTRIES_PER_READ else target
            if entries:
                await self._store(stream, reached)
            self._positions[stream] = reached
            self._moved.set()

    async def _store(self, stream: int, position: int) -> None:
        async def work(write: Write) -> None:
            await write.execute(SET_USER_CURSOR, self._consumer.name, stream, stream, position)

        await self._streams.write_stream(stream, work)
