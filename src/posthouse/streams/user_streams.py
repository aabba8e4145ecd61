"""The user streams: what is for one person, in order, written by one writer a stream.

A *work* is a coroutine that reads and writes through the `Write` it is given. Works that wait
together run one after another in one fenced transaction. A work

(1) reads and refuses before its first write;
(2) awaits nothing but its `Write`;
(3) may run a second time, in a new transaction, when another work of its batch went wrong.
"""

import asyncio
import enum
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import structlog

from posthouse.matrix import Refusal, UserId
from posthouse.std.clock import Clock
from posthouse.std.faults import Unavailable
from posthouse.storage import Database, Insert, Owner, Reader, Row, Statement, Transaction
from posthouse.streams.levels import StreamMap, row_id
from posthouse.streams.ownership import Ownership
from posthouse.streams.store import StreamTable
from posthouse.streams.writer import Batch, Writer

_log = structlog.get_logger(__name__)

T = TypeVar("T")


class EntryKind(enum.IntEnum):
    """What an entry of a person's log says."""

    ACCOUNT_DATA = 1
    PROFILE = 2
    DEVICE_KEYS = 3
    MEMBERSHIP = 4
    DEACTIVATED = 5
    TO_DEVICE = 6
    ONE_TIME_KEYS = 7
    DEVICES = 8
    SIGNED_OUT = 9
    PUSHERS = 10


@dataclass(frozen=True, slots=True)
class UserEntry:
    """One entry, as it is announced and as consumers read it. `position` 0: a mere touch."""

    stream: int
    position: int
    user_id: UserId
    kind: EntryKind
    subject: str
    device_id: str


USER_ENTRIES: Final = Insert(
    "user_entries",
    (
        ("id", "bigint"),
        ("user_id", "text"),
        ("position", "bigint"),
        ("kind", "smallint"),
        ("subject", "text"),
        ("device_id", "text"),
    ),
)

USER_TABLE: Final = StreamTable("user_streams")


class Write:
    """What a work reads and writes with; lives as long as the work runs."""

    __slots__ = (
        "_calls",
        "_entries",
        "_head",
        "_rows",
        "_stream",
        "_streams",
        "_tx",
        "now_ms",
        "wrote",
    )

    def __init__(self, tx: Transaction, streams: StreamMap, stream: int, head: int, now_ms: int):
        self._tx = tx
        self._streams = streams
        self._stream = stream
        self._head = head
        self._entries: list[UserEntry] = []
        self._rows: list[Row] = []
        self._calls: list[Callable[[], None]] = []
        self.now_ms = now_ms
        self.wrote = False

    async def fetch_one(self, statement: Statement, *args: Any) -> Row | None:
        return await self._tx.fetch_one(statement, *args)

    async def fetch_all(self, statement: Statement, *args: Any) -> list[Row]:
        return await self._tx.fetch_all(statement, *args)

    async def execute(self, statement: Statement, *args: Any) -> int:
        self.wrote = True
        return await self._tx.execute(statement, *args)

    async def insert_many(self, insert: Insert, rows: Sequence[Row]) -> None:
        self.wrote = True
        await self._tx.insert_many(insert, rows)

    def append(
        self, user_id: UserId, kind: EntryKind, subject: str = "", device_id: str = ""
    ) -> int:
        """A new entry in the person's log; returns its position."""
        position = self.position(user_id, kind, subject, device_id)
        self._rows.append(
            (row_id(self._stream, position), user_id, position, int(kind), subject, device_id)
        )
        return position

    def position(
        self, user_id: UserId, kind: EntryKind, subject: str = "", device_id: str = ""
    ) -> int:
        """A position whose row the caller stores itself; announced after the commit."""
        assert self._streams.stream_of(user_id) == self._stream, "a work of another stream"
        self.wrote = True
        self._head += 1
        self._entries.append(UserEntry(self._stream, self._head, user_id, kind, subject, device_id))
        return self._head

    def touch(self, user_id: UserId, kind: EntryKind, device_id: str = "") -> None:
        """Announced after the commit; takes no position."""
        self._entries.append(UserEntry(self._stream, 0, user_id, kind, "", device_id))

    def after_commit(self, call: Callable[[], None]) -> None:
        """Runs after the commit, before the caller is answered."""
        self._calls.append(call)

    def id_of(self, position: int) -> int:
        """The primary key of a row that the caller stores at a position."""
        return row_id(self._stream, position)

    async def finish(self) -> tuple[int, list[UserEntry], list[Callable[[], None]]]:
        """Writes the log's rows; returns the new head and what to announce."""
        if self._rows:
            await self._tx.insert_many(USER_ENTRIES, self._rows)
        return self._head, self._entries, self._calls


@dataclass(slots=True)
class _Job:
    work: Callable[[Write], Awaitable[Any]]
    waiter: asyncio.Future[Any]


class _Spoilt(Exception):
    """A work failed after it wrote: the transaction is undone and runs again without it."""

    def __init__(self, job: _Job, cause: Exception) -> None:
        super().__init__(str(cause))
        self.job = job
        self.cause = cause


class WorkBatch(Batch):
    """A batch of works; its positions are taken while they run."""

    __slots__ = ("entries", "refused", "works")

    def __init__(self, base: int) -> None:
        super().__init__(base)
        self.touches = True
        self.works: list[_Job] = []
        self.entries: list[UserEntry] = []
        self.refused: list[tuple[asyncio.Future[Any], Exception]] = []

    def futures(self) -> list[asyncio.Future[Any]]:
        return [job.waiter for job in self.works]


class WorkingWriter(Writer):
    """The writer of a user stream: runs works inside its transaction."""

    owner = Owner.USER
    table = USER_TABLE

    def __init__(
        self, database: Database, stream: int, streams: StreamMap, clock: Clock, **calls: Any
    ):
        super().__init__(database, stream, **calls)
        self._streams = streams
        self._clock = clock

    def submit(self, work: Callable[[Write], Awaitable[T]]) -> "asyncio.Future[T]":
        batch = self._open_batch()
        assert isinstance(batch, WorkBatch)
        batch.jobs += 1
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        batch.works.append(_Job(work, waiter))
        return waiter

    def _new_batch(self, base: int) -> Batch:
        return WorkBatch(base)

    async def _write(self, batch: Batch) -> None:
        assert isinstance(batch, WorkBatch)
        # Positions are taken as works run, so the base is whatever the batch before it left.
        batch.base = batch.head = self.head
        while True:
            try:
                await self._run_works(batch)
                return
            except _Spoilt as spoilt:
                batch.works.remove(spoilt.job)
                self._fail([spoilt.job.waiter], spoilt.cause)

    async def _run_works(self, batch: WorkBatch) -> None:
        batch.head = batch.base
        batch.applied = []
        batch.entries = []
        results: list[tuple[asyncio.Future[Any], Any]] = []
        batch.refused = []
        async with self._database.transaction(of=self.owner) as tx:
            await self._fence(tx, batch.base, batch.base, self._serial_after(batch))
            for job in batch.works:
                write = Write(tx, self._streams, self.stream, batch.head, self._clock.now_ms())
                try:
                    result = await job.work(write)
                    batch.head, entries, calls = await write.finish()
                except Unavailable:
                    raise
                except Exception as cause:
                    if write.wrote or not isinstance(cause, Refusal):
                        raise _Spoilt(job, cause) from cause
                    batch.refused.append((job.waiter, cause))
                    continue
                batch.entries += entries
                batch.applied += calls
                results.append((job.waiter, result))
            if batch.head != batch.base:
                await self._fence(tx, batch.base, batch.head, self._serial_after(batch))
            # Before the commit: one in doubt may turn out to have happened.
            batch.waiters = results


class UserStreams:
    """All user streams of this process."""

    def __init__(
        self,
        database: Database,
        streams: StreamMap,
        clock: Clock,
        ownership: Ownership | None = None,
    ) -> None:
        self._database = database
        self.ownership = ownership or Ownership()
        self._listeners: list[Callable[[Sequence[UserEntry]], None]] = []
        self._reset_listeners: list[Callable[[int], None]] = []
        self.streams = streams
        self.writers = {
            stream: _AnnouncingWriter(
                database,
                stream,
                streams,
                clock,
                self.ownership,
                self._tell,
                self._was_reset,
            )
            for stream in streams.ids
        }

    async def take_over(self) -> None:
        """Becomes the owner of every stream, before anything is answered."""
        for writer in self.writers.values():
            await writer.take_over()

    async def run(self) -> None:
        """Commits until closed."""
        async with asyncio.TaskGroup() as group:
            for writer in self.writers.values():
                group.create_task(writer.run())

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()

    async def write(self, user_id: UserId, work: Callable[[Write], Awaitable[T]]) -> T:
        """Runs a work in the person's stream; returns its result once it is durable."""
        return await self.writers[self.streams.stream_of(user_id)].submit(work)

    async def write_stream(self, stream: int, work: Callable[[Write], Awaitable[T]]) -> T:
        """The same for several people of one stream."""
        return await self.writers[stream].submit(work)

    def reader(self) -> Reader:
        """Committed rows of the tables of people."""
        return self._database.reader(of=Owner.USER)

    def stream_of(self, user_id: UserId) -> int:
        return self.streams.stream_of(user_id)

    def head(self, stream: int) -> int:
        """The newest position that is committed and announced."""
        return self.writers[stream].head

    def head_of(self, user_id: UserId) -> int:
        return self.writers[self.streams.stream_of(user_id)].head

    def listen(self, listener: Callable[[Sequence[UserEntry]], None]) -> None:
        """`listener` learns the entries of each commit, invariant 3 of the writer."""
        self._listeners.append(listener)

    def listen_reset(self, listener: Callable[[int], None]) -> None:
        """`listener` learns of a stream whose announcements may have been lost."""
        self._reset_listeners.append(listener)

    def _tell(self, entries: Sequence[UserEntry]) -> None:
        for listener in self._listeners:
            listener(entries)

    def _was_reset(self, stream: int) -> None:
        for listener in self._reset_listeners:
            listener(stream)


class _AnnouncingWriter(WorkingWriter):
    """Tells the service's listeners what each commit brought."""

    def __init__(
        self,
        database: Database,
        stream: int,
        streams: StreamMap,
        clock: Clock,
        ownership: Ownership,
        tell: Callable[[Sequence[UserEntry]], None],
        was_reset: Callable[[int], None],
    ) -> None:
        super().__init__(
            database,
            stream,
            streams,
            clock,
            ownership=ownership,
            dropped=lambda _: None,
            reset=was_reset,
            refill=_nothing_to_read,
            committed=lambda _stream, _head: None,
        )
        self._tell = tell

    def _apply(self, batch: Batch) -> None:
        super()._apply(batch)
        assert isinstance(batch, WorkBatch)
        if batch.entries:
            self._tell(batch.entries)

    def _answer(self, batch: Batch) -> None:
        super()._answer(batch)
        assert isinstance(batch, WorkBatch)
        for waiter, refusal in batch.refused:
            self._fail([waiter], refusal)


async def _nothing_to_read(stream: int, head: int) -> None:
    """Works read what they judge by inside their transaction."""
