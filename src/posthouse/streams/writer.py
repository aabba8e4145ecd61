"""The single writer of one stream: two layers, group commit, and what happens when it fails.

Everything that is waiting goes into one transaction. While it commits, what arrives is judged
against *pending* (what is committed and what is on its way) and forms the next batch.

(1) Positions are taken in order, and all of a batch become visible together.
(2) Only the owner writes: each transaction begins with the fence, an UPDATE of the stream's row
    that names the epoch and the head this writer believes in. No row touched: another owner took
    over, and this writer steps down for good.
(3) Nothing is announced, and nobody is answered, before the commit.
(4) After a failed commit every waiter fails, *pending* is dropped, and nothing is accepted until
    the head was read again under the fence. After one in doubt, the head in that row decides: only
    this owner can have moved it to where the batch ends. After an announcement that failed, nothing
    is accepted until memory was read again.
(5) The writer owns its results: an accepted write is never cancelled by a client that hangs up.
"""

import asyncio
import enum
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import structlog

from posthouse.std.faults import Unavailable
from posthouse.storage import Database, InDoubt, Insert, Owner, Row, Statement, Transaction
from posthouse.streams.errors import Overloaded, SteppedDown
from posthouse.streams.ownership import Ownership
from posthouse.streams.store import StreamTable

_log = structlog.get_logger(__name__)

T = TypeVar("T")

JOBS_PER_BATCH_MAX: Final = 256
"""Bounds the statements of one batch, and with them the longest turn of the event loop."""

BATCHES_WAITING_MAX: Final = 32

_DOUBT_PATIENCE_S: Final = 2.0
"""How long waiters are held while a commit in doubt is being decided."""

_RETRY_FIRST_S: Final = 0.05
_RETRY_MAX_S: Final = 1.0


class WriterState(enum.Enum):
    """Running, finding out what became of a failed commit, or no longer the owner."""

    RUNNING = "running"
    RECOVERING = "recovering"
    STEPPED_DOWN = "stepped down"
    CLOSED = "closed"


class Batch:
    """What one commit will write, who waits for it, and what becomes true with it."""

    __slots__ = (
        "applied",
        "base",
        "head",
        "jobs",
        "rows",
        "statements",
        "touches",
        "upserts",
        "waiters",
    )

    def __init__(self, base: int) -> None:
        self.base = base
        self.head = base
        self.jobs = 0
        self.touches = False
        """Whether the second serial moves too: for what changes without an entry."""
        self.rows: dict[Insert, list[Row]] = {}
        self.upserts: dict[Insert, dict[object, Row]] = {}
        self.statements: list[tuple[Statement, tuple[Any, ...]]] = []
        self.applied: list[Callable[[], None]] = []
        self.waiters: list[tuple[asyncio.Future[Any], Any]] = []

    def take_position(self) -> int:
        """The next position of the stream, invariant 1."""
        self.head += 1
        return self.head

    def insert(self, insert: Insert, row: Row) -> None:
        """One more row for a table; all of a batch go in with one statement."""
        rows = self.rows.get(insert)
        if rows is None:
            rows = self.rows[insert] = []
        rows.append(row)

    def upsert(self, insert: Insert, key: object, row: Row) -> None:
        """A row that replaces the batch's earlier one of the same key: PostgreSQL refuses to touch
        one row twice in a statement.
        """
        rows = self.upserts.get(insert)
        if rows is None:
            rows = self.upserts[insert] = {}
        rows[key] = row

    def execute(self, statement: Statement, *args: Any) -> None:
        """A statement that runs after the batch's inserts."""
        self.statements.append((statement, args))

    def when_committed(self, call: Callable[[], None]) -> None:
        """Runs after the commit, in the order given, before the waiters are answered."""
        self.applied.append(call)

    def futures(self) -> list[asyncio.Future[Any]]:
        """Everybody who waits for this batch."""
        return [waiter for waiter, _ in self.waiters]


class Fenced(Exception):
    """The stream's row was not where this writer left it."""


class Writer:
    """Base of the two kinds of writer; `run` is a task of the service that owns them."""

    owner: Owner
    table: StreamTable

    def __init__(
        self,
        database: Database,
        stream: int,
        *,
        ownership: Ownership,
        dropped: Callable[[int], None],
        reset: Callable[[int], None],
        refill: Callable[[int, int], Awaitable[None]],
        committed: Callable[[int, int], None],
    ) -> None:
        """`dropped(stream)` forgets pending, `reset(stream)` forgets all that was in memory,
        `refill(stream, head)` reads again what the next judgement needs after that,
        `committed(stream, head)` learns each new head after what it brought was applied.
        """
        self._database = database
        self._ownership = ownership
        self.stream = stream
        self.head = 0
        self.epoch = 0
        self.touched = 0
        self.state = WriterState.CLOSED
        self._dropped = dropped
        self._reset = reset
        self._refill = refill
        self._committed = committed
        self._closing = asyncio.Event()
        self._wake = asyncio.Event()
        self._settled = asyncio.Event()
        self._queue: deque[Batch] = deque()
        self._in_flight: Batch | None = None

    # -- taking over ---------------------------------------------------------------------------

    async def take_over(self) -> None:
        """Becomes the owner: a new epoch, committed before anything is answered."""
        async with self._database.transaction(of=self.owner) as tx:
            self.epoch, self.head, self.touched = await self.table.take_over(tx, self.stream)
        self._queue.clear()
        self.state = WriterState.RUNNING

    def close(self) -> None:
        """Accepts nothing more; `run` ends when what was accepted is settled, or can't be."""
        if self.state is WriterState.RUNNING:
            self.state = WriterState.CLOSED
        self._closing.set()
        self._wake.set()

    async def wait_until_settled(self) -> None:
        """Until it is known what became of every failed commit."""
        while self.state is WriterState.RECOVERING:
            await self._settled.wait()

    # -- accepting -----------------------------------------------------------------------------

    def _open_batch(self) -> Batch:
        """The batch that takes the next job. Raises Unavailable where nothing is accepted."""
        if self.state is not WriterState.RUNNING:
            raise self._not_accepting()
        if self._queue:
            batch = self._queue[-1]
            if batch.jobs < JOBS_PER_BATCH_MAX:
                return batch
            if len(self._queue) >= BATCHES_WAITING_MAX:
                raise Overloaded()
            batch = self._new_batch(batch.head)
        else:
            batch = self._new_batch(self._in_flight.head if self._in_flight else self.head)
        self._queue.append(batch)
        self._wake.set()
        return batch

    def _new_batch(self, base: int) -> Batch:
        return Batch(base)

    def _not_accepting(self) -> Unavailable:
        if self.state is WriterState.STEPPED_DOWN:
            return SteppedDown()
        if self.state is WriterState.CLOSED:
            return Unavailable("The server is stopping. Try again in a moment.")
        return Unavailable("The server could not write just now. Try again in a moment.")

    # -- committing ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Commits one batch after another until closed; outlives faults, ends on a bug."""
        while True:
            if self.state is WriterState.RECOVERING:
                await self._recover(self._new_batch(self.head), Unavailable("A batch was spoilt."))
            if not self._queue:
                if self._closing.is_set() or self.state is WriterState.STEPPED_DOWN:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            batch = self._queue.popleft()
            self._in_flight = batch
            try:
                await self._settle(batch)
            finally:
                self._in_flight = None

    async def _settle(self, batch: Batch) -> None:
        try:
            await self._write(batch)
        except Fenced:
            self._step_down(batch)
        except Unavailable as fault:
            await self._recover(batch, fault)
        except Exception as bug:
            # A row that the database refuses is our mistake: this batch fails with it, and what
            # was judged on top of it has lost its ground.
            _log.exception("batch failed", stream=self.stream)
            await self._recover(batch, bug)
        else:
            await self._announce(batch)

    async def _write(self, batch: Batch) -> None:
        async with self._database.transaction(of=self.owner) as tx:
            await self._fence(tx, batch.base, batch.head, self._serial_after(batch))
            for insert, rows in batch.rows.items():
                await tx.insert_many(insert, rows)
            for insert, by_key in batch.upserts.items():
                await tx.insert_many(insert, list(by_key.values()))
            for statement, args in batch.statements:
                await tx.execute(statement, *args)

    def _serial_after(self, batch: Batch) -> int:
        return self.touched + batch.touches

    async def _fence(self, tx: Transaction, old: int, new: int, touched: int) -> None:
        if not await self.table.advance(
            tx, self.stream, epoch=self.epoch, old=old, new=new, touched=touched
        ):
            raise Fenced()

    async def _announce(self, batch: Batch) -> None:
        self.head = batch.head
        self.touched = self._serial_after(batch)
        try:
            self._apply(batch)
            self._committed(self.stream, batch.head)
        except Exception:
            _log.exception("announcing failed", stream=self.stream)
            await self._read_again()
        self._answer(batch)

    async def _read_again(self) -> None:
        """What is committed stays so; memory that may be half told is forgotten and read again,
        and what was judged on it has lost its ground.
        """
        self._stop_accepting()
        self._fail_waiting(Unavailable("The server lost its place."))
        self._reset(self.stream)
        pause = _RETRY_FIRST_S
        while not self._closing.is_set():
            try:
                await self._refill(self.stream, self.head)
                break
            except Unavailable:
                await self._pause(pause)
                pause = min(pause * 2, _RETRY_MAX_S)
        self._committed(self.stream, self.head)
        self._accept_again()

    def _answer(self, batch: Batch) -> None:
        for waiter, result in batch.waiters:
            if not waiter.done():
                waiter.set_result(result)

    def _apply(self, batch: Batch) -> None:
        for call in batch.applied:
            call()

    # -- failing -------------------------------------------------------------------------------

    async def _recover(self, batch: Batch, fault: Exception) -> None:
        """Invariant 4: finds out what became of a batch, then accepts again."""
        self._stop_accepting()
        _log.warning("commit failed", stream=self.stream, fault=str(fault), head=self.head)
        if not isinstance(fault, InDoubt):
            self._fail(batch.futures(), fault)
        self._fail_waiting(Unavailable(str(fault)))
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + _DOUBT_PATIENCE_S
        pause = _RETRY_FIRST_S
        while True:
            try:
                async with self._database.transaction(of=self.owner) as tx:
                    found = await self.table.read(tx, self.stream)
                    if found is not None and found.epoch == self.epoch:
                        # A write under the fence, so that a disk that is still full shows itself.
                        await self._fence(tx, found.head, found.head, found.touched)
                break
            except Fenced:
                continue
            except Unavailable:
                if loop.time() > give_up_at or self._closing.is_set():
                    self._fail(batch.futures(), fault)
                if self._closing.is_set():
                    # The next start finds what became of it.
                    self._accept_again()
                    return
                await self._pause(pause)
                pause = min(pause * 2, _RETRY_MAX_S)
        if found is None or found.epoch != self.epoch:
            self._step_down(batch)
            return
        self._dropped(self.stream)
        before = batch.base, self.touched
        after = batch.head, self._serial_after(batch)
        if (found.head, found.touched) == after and after != before:
            await self._announce(batch)
        elif (found.head, found.touched) == before:
            self._fail(batch.futures(), fault)
        else:
            self._step_down(batch)
            return
        self._accept_again()
        _log.info("writing again", stream=self.stream, head=self.head)

    def _stop_accepting(self) -> None:
        self.state = WriterState.RECOVERING
        self._settled.clear()

    def _accept_again(self) -> None:
        self.state = WriterState.CLOSED if self._closing.is_set() else WriterState.RUNNING
        self._settled.set()

    def _fail_waiting(self, fault: Unavailable) -> None:
        """What was judged on top of a batch that came to nothing falls with it."""
        while self._queue:
            self._fail(self._queue.popleft().futures(), fault)

    async def _pause(self, seconds: float) -> None:
        """Waits, or returns at once when the writer is closed."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return

    def _step_down(self, batch: Batch) -> None:
        """Another owner writes this stream now: nothing is answered from memory any more."""
        self.state = WriterState.STEPPED_DOWN
        self._settled.set()
        _log.critical("stepped down", stream=self.stream, epoch=self.epoch)
        self._ownership.lose()
        self._fail(batch.futures(), SteppedDown())
        self._fail_waiting(SteppedDown())
        self._dropped(self.stream)
        self._reset(self.stream)

    @staticmethod
    def _fail(waiters: Sequence[asyncio.Future[Any]], fault: Exception) -> None:
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(fault)
                waiter.exception()  # a waiter that is gone must not be reported as forgotten


class JudgingWriter(Writer):
    """The writer of a room stream: a job is judged at once, as a plain function, on *pending*."""

    owner = Owner.ROOM
    table = StreamTable("room_streams")

    def submit(self, judge: Callable[[Batch], T]) -> Awaitable[T]:
        """Judges now; the returned future is done when the batch is committed.

        `judge` raises its refusal before it adds anything to the batch. Whoever awaits the future
        may be cancelled; the write is not.
        """
        batch = self._open_batch()
        before = batch.head, len(batch.applied)
        batch.jobs += 1
        try:
            result = judge(batch)
        except BaseException:
            if (batch.head, len(batch.applied)) != before:
                self._spoil(batch)
            elif not batch.waiters and batch is self._queue[-1]:
                self._queue.pop()  # nothing came of it: no commit for nobody
            raise
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        batch.waiters.append((waiter, result))
        return waiter

    def _spoil(self, batch: Batch) -> None:
        """A judge failed half-way, which is a bug: its batch can't be kept.

        Nothing is accepted until what is in flight has settled: what is judged next must not miss it.
        """
        self._queue.remove(batch)
        self._fail(batch.futures(), Unavailable("The server could not write just now."))
        self._stop_accepting()
        self._wake.set()
