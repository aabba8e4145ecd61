"""Transaction ids older than an hour: an index that follows the log, so that no send pays for it.

The column in the log is the truth, and the memory of the last hour (`transactions`) answers nearly
every repeat. This consumer enters what is about to leave that memory, in pieces, and forgets it
after two days.

(1) The rows and the cursor go in with one batch of the stream's writer.
(2) What the cursor has not reached is younger than the memory's time, or was lost to a stop: the
    first turn after a start catches up before the memory forgets anything.
(3) Whatever is in the index is in the sieve, where there is one: it is put there first.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import structlog

from posthouse.matrix import EventId, UserId
from posthouse.rooms import store, transactions
from posthouse.rooms.memory import RoomMemory
from posthouse.rooms.model import Entry, Event, TransactionKey
from posthouse.rooms.room import Room
from posthouse.rooms.sieve import Sieve
from posthouse.rooms.transactions import KEPT_MS
from posthouse.std.clock import Clock
from posthouse.std.faults import Unavailable
from posthouse.storage import Row
from posthouse.streams import Batch, RoomStreams, ancestors_of, position_of, row_id

_log = structlog.get_logger(__name__)

TRANSACTIONS_KEPT_MS: Final = 48 * 3_600_000
"""How long a repeated send is answered with its first event."""

_NAME: Final = "transactions"
_AGE_MS: Final = KEPT_MS // 2
"""From this age on a transaction is entered: well before the memory forgets it."""
_ROWS_PER_BATCH: Final = 200
_NAMES_PER_READ: Final = 2_000
_TURN_S: Final = 60.0
_RETRY_S: Final = 1.0
_ANY_TIME: Final = 1 << 62


def scope_hash(key: TransactionKey) -> int:
    """A signed 64-bit name of a transaction with its whole scope."""
    scope = "\0".join((key.sender, key.device_id, str(key.room), key.endpoint, key.txn_id))
    return int.from_bytes(hashlib.sha256(scope.encode()).digest()[:8], "big", signed=True)


def _forget(stream: int, before_ms: int, batch: Batch) -> None:
    batch.execute(store.FORGET_TRANSACTIONS, stream, before_ms)


class TransactionIndex:
    """One for all room streams of this process; `run` is a task of `app`."""

    def __init__(self, memory: RoomMemory, streams: RoomStreams, clock: Clock) -> None:
        self._memory = memory
        self._streams = streams
        self._clock = clock
        self._reached: dict[tuple[int, int], int] = {}
        """By source and target: a stream follows its own log, and the end of its ancestors'."""
        self._waiting = dict.fromkeys(streams.streams.ids, 0)
        """Transactions of each stream that came since its last turn."""
        self._hurry = asyncio.Event()
        memory.listen(self._heard)
        self._sieve: Sieve | None = None
        """None until the index was read."""
        self._filling: Sieve | None = None
        self._sieved_ms = 0

    def may_have(self, key: TransactionKey) -> bool:
        """False for nearly every new transaction, without a query: invariant 3."""
        return self._sieve is None or self._sieve.may_have(scope_hash(key))

    async def find(self, key: TransactionKey, now_ms: int) -> EventId | None:
        """The event of a transaction that the memory no longer knows."""
        return await store.older_transaction(
            self._memory.reader(),
            scope_hash(key),
            after_ms=now_ms - TRANSACTIONS_KEPT_MS,
        )

    async def start(self) -> None:
        """Reads the cursors and enters what an earlier run left."""
        for target in self._streams.streams.ids:
            for source in (target, *ancestors_of(target)):
                self._reached[source, target] = await store.room_cursor(
                    self._memory.reader(), _NAME, source, target
                )

    async def run(self) -> None:
        """A turn a minute, and whenever memory fills; ends by cancellation."""
        while True:
            self._hurry.clear()
            try:
                await self.turn()
            except Unavailable as fault:
                _log.warning("transaction index waits", fault=str(fault))
                await asyncio.sleep(_RETRY_S)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TURN_S):
                    await self._hurry.wait()

    def _heard(self, stream: int, news: Mapping[Room, Sequence[Entry]]) -> None:
        for entries in news.values():
            self._waiting[stream] += sum(
                isinstance(entry, Event) and entry.txn_id is not None for entry in entries
            )
        if self._is_pressed(stream):
            self._hurry.set()

    def _is_pressed(self, stream: int) -> bool:
        return self._waiting[stream] > transactions.KEPT_MAX // 2

    async def turn(self) -> None:
        """Enters what has come of age, and forgets what is too old."""
        now_ms = self._clock.now_ms()
        if self._sieve is None or self._sieved_ms < now_ms - TRANSACTIONS_KEPT_MS:
            await self._fill_sieve(now_ms)
        for target in self._streams.streams.ids:
            before_ms = _ANY_TIME if self._is_pressed(target) else now_ms - _AGE_MS
            waiting = self._waiting[target]
            for source in (target, *ancestors_of(target)):
                while await self._enter_some(source, target, before_ms):
                    pass
            self._memory.transactions(target).entered = self._reached[target, target]
            self._waiting[target] -= waiting
        for stream in self._streams.streams.ids:
            await self._streams.submit(
                stream, partial(_forget, stream, now_ms - TRANSACTIONS_KEPT_MS)
            )

    async def _fill_sieve(self, now_ms: int) -> None:
        """A new sieve of what the index has now: the last one held what is long forgotten, too."""
        sieve = self._filling = Sieve()
        names = [-(1 << 63)]
        while names:
            names = await store.indexed_transactions(
                self._memory.reader(), names[-1], _NAMES_PER_READ
            )
            for name in names:
                sieve.add(name)
            await asyncio.sleep(0)
        self._sieve, self._filling, self._sieved_ms = sieve, None, now_ms

    def _let_through(self, name: int) -> None:
        for sieve in (self._sieve, self._filling):
            if sieve is not None:
                sieve.add(name)

    async def _enter_some(self, source: int, target: int, before_ms: int) -> bool:
        """One batch of rows; whether there may be more."""
        rows = await store.rows_to_index(
            self._memory.reader(),
            row_id(source, self._reached[source, target]),
            row_id(source + 1, 0) - 1
            if source != target
            else row_id(source, self._streams.head(source)),
            _ROWS_PER_BATCH,
        )
        ripe: list[Row] = []
        for row in rows:
            if row[6] > before_ms:
                break
            ripe.append(row)
        if not ripe:
            return False
        reached = position_of(ripe[-1][0])

        def judge(batch: Batch) -> None:
            for row in ripe:
                if row[4] is not None and self._streams.streams.stream_of_key(row[1]) == target:
                    key = TransactionKey(UserId(row[2]), row[3], row[1], row[4][:1], row[4][1:])
                    name = scope_hash(key)
                    self._let_through(name)
                    batch.insert(store.TRANSACTIONS, (name, target, row[5], row[6]))
            batch.upsert(store.ROOM_CURSORS, (_NAME, source), (_NAME, source, target, reached))

        await self._streams.submit(target, judge)
        self._reached[source, target] = reached
        return len(ripe) == _ROWS_PER_BATCH
