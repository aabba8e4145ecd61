"""The embedded engine: SQLite through `apsw`, one file for each database.

Statements run on the event loop: each is bounded, and a thread would wait longer for the
interpreter than the statement takes. What waits for the disk (COMMIT, folding the log into the
file) runs in a thread, one of each kind.

(1) One writing connection, used by one transaction at a time; while its COMMIT is in the thread,
    nobody else touches it.
(2) Whatever failed, the writing connection is outside a transaction when its turn is given back.
(3) The write-ahead log is bounded: folded beside the writers once it reaches `checkpoint_pages`,
    finished between two transactions so that it starts again from its beginning, and cut to
    nothing when no one has written for a while and at the end.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import apsw
import orjson
import structlog

from posthouse.std.faults import Unavailable
from posthouse.storage.dialect import numbered_placeholders, sqlite_insert, sqlite_script
from posthouse.storage.folder import FolderLock
from posthouse.storage.interface import (
    Constraint,
    Dialects,
    InDoubt,
    Insert,
    Owner,
    Reader,
    Row,
    Statement,
    StatementRefused,
)

T = TypeVar("T")

_PAGE: Final = 4096
_CACHED_STATEMENTS: Final = 500
_SNAPSHOTS: Final = 8
_IDLE_S: Final = 5.0

_log = structlog.get_logger("posthouse.storage")


class SqliteDatabase:
    """One file, or one for each kind of owner."""

    engine: Final[Literal["sqlite", "postgresql"]] = "sqlite"

    def __init__(self, files: "Mapping[Owner, DatabaseFile]", lock: FolderLock | None) -> None:
        self._files = files
        self._lock = lock

    @property
    def statements(self) -> int:
        return sum(file.statements for file in set(self._files.values()))

    def transaction(self, *, of: Owner) -> "AbstractAsyncContextManager[SqliteTransaction]":
        return self._files[of].transaction()

    def reader(self, *, of: Owner) -> Reader:
        return self._files[of].reader

    def snapshot(self, *, of: Owner) -> AbstractAsyncContextManager[Reader]:
        return self._files[of].snapshot()

    async def close(self) -> None:
        for file in set(self._files.values()):
            await file.close()
        if self._lock is not None:
            self._lock.release()


class DatabaseFile:
    """The connections to one file, and what keeps its log short.

    `_turn` guards `_writer`; everything else belongs to the event loop's thread, except
    `_folder`, which only the folding thread uses.
    """

    def __init__(self, path: Path, *, checkpoint_pages: int, timeout_s: float) -> None:
        """Raises Unavailable when the file can't be opened."""
        self.statements = 0
        self._closed = False
        self._path = path
        self._timeout_s = timeout_s
        self._checkpoint_pages = checkpoint_pages
        self._writer: apsw.Connection | None = self._open_writer()
        self._reader = self._open(read_only=True)
        self.reader = _FileReader(self, self._reader)
        self._turn = asyncio.Lock()
        self._committing = ThreadPoolExecutor(1, thread_name_prefix="commit")

        self._snapshots = asyncio.Semaphore(_SNAPSHOTS)
        self._idle_readers: list[apsw.Connection] = []

        self._folder = self._open()
        self._folding = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._fold: asyncio.Future[tuple[int, int]] | None = None
        self._finish_fold = False
        self._log_pages = 0
        self._last_commit = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def transaction(self) -> "AsyncIterator[SqliteTransaction]":
        async with _bounded(self._turn, self._timeout_s, "The database is too busy"):
            if self._closed:
                raise Unavailable("The database is closed.")
            if self._finish_fold:
                await self._finish_folding()
            writer = await self._begin()
            changes = writer.total_changes()
            transaction = SqliteTransaction(self, writer)
            try:
                yield transaction
                transaction.refuse_if_spoiled()
            except BaseException:
                self._roll_back(writer)
                raise
            if writer.total_changes() == changes and not transaction.defined:
                self._roll_back(writer)
            else:
                await self._commit(writer)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Reader]:
        async with _bounded(self._snapshots, self._timeout_s, "Too many long reads at once"):
            connection = (
                self._idle_readers.pop() if self._idle_readers else self._open(read_only=True)
            )
            try:
                connection.execute("BEGIN")
                yield _FileReader(self, connection)
            finally:
                if self._closed or not _rolled_back(connection):
                    connection.close(True)
                else:
                    self._idle_readers.append(connection)

    async def close(self) -> None:
        """Waits for the transaction that runs, folds the log and closes the file."""
        async with self._turn:
            self._closed = True
            if self._idle_timer is not None:
                self._idle_timer.cancel()
            if self._fold is not None:
                await asyncio.wait([self._fold])
            for reader in (self._reader, *self._idle_readers):
                reader.close(True)
            if self._writer is not None:
                self._writer.close(True)
                self._writer = None
            last = self._start_folding(apsw.SQLITE_CHECKPOINT_TRUNCATE)
            await asyncio.wait([last])
            if last.exception() is not None:
                _log.warning(
                    "checkpoint failed at close", file=self._path.name, why=last.exception()
                )
            self._folder.close(True)
        self._committing.shutdown()
        self._folding.shutdown()

    async def retry_while_busy(self, work: Callable[[], T]) -> T:
        """Runs it until no other connection is in the way, at most for the time-out."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout_s
        pause = 0.001
        while True:
            try:
                return work()
            except (apsw.BusyError, apsw.LockedError) as error:
                if loop.time() + pause > deadline:
                    raise Unavailable("Another process holds the database.") from error
            except _DRIVER_ERRORS as error:
                raise _translated(error) from error
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.05)

    # The writer's turn.

    async def _begin(self) -> apsw.Connection:
        def begin() -> apsw.Connection:
            if self._writer is None:
                self._writer = self._open_writer()
            self._writer.execute("BEGIN IMMEDIATE")
            return self._writer

        return await self.retry_while_busy(begin)

    async def _commit(self, writer: apsw.Connection) -> None:
        loop = asyncio.get_running_loop()
        commit = loop.run_in_executor(self._committing, writer.execute, "COMMIT")
        try:
            await _finished(commit)
        except apsw.Error as error:
            self._roll_back(writer)
            if isinstance(error, apsw.IOError):
                # The commit frame may lie on the disk all the same, to be found by a recovery.
                raise InDoubt(f"The disk failed during a commit: {error}") from error
            raise _translated(error) from error
        finally:
            self._count_pages(writer)

    def _roll_back(self, writer: apsw.Connection) -> None:
        """Makes the writer clean, by a new connection if it must be (2)."""
        if not _rolled_back(writer):
            writer.close(True)
            self._writer = None

    # Folding the log (3).

    def _count_pages(self, writer: apsw.Connection) -> None:
        loop = asyncio.get_running_loop()
        self._last_commit = loop.time()
        if self._writer is None:
            return
        self._log_pages += writer.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE, True)[0]
        folding = self._fold is not None or self._finish_fold
        if self._log_pages >= self._checkpoint_pages and not folding:
            self._start_folding(apsw.SQLITE_CHECKPOINT_PASSIVE)
        if self._idle_timer is None:
            self._idle_timer = loop.call_later(_IDLE_S, self._when_idle)

    def _start_folding(self, mode: int) -> "asyncio.Future[tuple[int, int]]":
        loop = asyncio.get_running_loop()
        fold = loop.run_in_executor(self._folding, self._folder.wal_checkpoint, None, mode)
        self._fold = fold
        fold.add_done_callback(self._folded)
        return fold

    def _folded(self, fold: "asyncio.Future[tuple[int, int]]") -> None:
        self._fold = None
        if fold.exception() is None:
            self._finish_fold = True
        else:
            self._folding_failed(fold.exception())

    async def _finish_folding(self) -> None:
        """Folds what was written meanwhile; the next transaction starts the log again."""
        if self._fold is not None:
            return
        self._finish_fold = False
        loop = asyncio.get_running_loop()
        rest = loop.run_in_executor(
            self._folding, self._folder.wal_checkpoint, None, apsw.SQLITE_CHECKPOINT_PASSIVE
        )
        try:
            pages, folded = await _finished(rest)
        except apsw.Error as error:
            self._folding_failed(error)
            return
        # A snapshot may pin the log: then try again some pages later.
        self._log_pages = 0 if folded == pages else self._checkpoint_pages // 2

    def _folding_failed(self, error: BaseException | None) -> None:
        # Nothing is lost: the log keeps what couldn't be folded, and the next attempt finds it.
        self._log_pages = self._checkpoint_pages // 2
        if not isinstance(error, apsw.BusyError):
            _log.warning("checkpoint failed", file=self._path.name, why=str(error))

    def _when_idle(self) -> None:
        loop = asyncio.get_running_loop()
        self._idle_timer = None
        if self._fold is None and loop.time() - self._last_commit >= _IDLE_S:
            idle = self._start_folding(apsw.SQLITE_CHECKPOINT_TRUNCATE)
            idle.add_done_callback(self._idle_folded)
        else:
            self._idle_timer = loop.call_later(_IDLE_S, self._when_idle)

    def _idle_folded(self, fold: "asyncio.Future[tuple[int, int]]") -> None:
        if fold.exception() is None:
            self._log_pages = 0
            self._finish_fold = False
        elif self._idle_timer is None:
            loop = asyncio.get_running_loop()
            self._idle_timer = loop.call_later(_IDLE_S, self._when_idle)

    # Connections.

    def _open_writer(self) -> apsw.Connection:
        connection = self._open()
        connection.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE, True)
        return connection

    def _open(self, *, read_only: bool = False) -> apsw.Connection:
        try:
            connection = apsw.Connection(str(self._path), statementcachesize=_CACHED_STATEMENTS)
            # A name in double quotes is a name, as on PostgreSQL, never a string.
            connection.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)
            connection.config(apsw.SQLITE_DBCONFIG_DQS_DDL, 0)
            connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
            connection.execute(f"PRAGMA page_size = {_PAGE}")
            mode = connection.execute("PRAGMA journal_mode = WAL").get
            if mode != "wal":
                raise Unavailable(f"{self._path} doesn't keep a write-ahead log ({mode}).")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("PRAGMA cache_size = -16384")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute(f"PRAGMA journal_size_limit = {self._checkpoint_pages * _PAGE}")
            if read_only:
                connection.execute("PRAGMA query_only = ON")
        except apsw.Error as error:
            raise Unavailable(f"Can't open {self._path}: {error}") from error
        return connection


class _FileReader:
    """Runs on a connection that can't write."""

    def __init__(self, file: DatabaseFile, connection: apsw.Connection) -> None:
        self._file = file
        self._connection = connection

    async def fetch_one(self, statement: Statement, *args: Any) -> Row | None:
        self._file.statements += 1
        try:
            return _first(self._connection, statement, args)
        except _DRIVER_ERRORS:
            return await self._file.retry_while_busy(
                lambda: _first(self._connection, statement, args)
            )

    async def fetch_all(self, statement: Statement, *args: Any) -> list[Row]:
        self._file.statements += 1
        try:
            return _all(self._connection, statement, args)
        except _DRIVER_ERRORS:
            return await self._file.retry_while_busy(
                lambda: _all(self._connection, statement, args)
            )


class SqliteTransaction:
    """Runs on the writing connection between BEGIN IMMEDIATE and COMMIT."""

    def __init__(self, file: DatabaseFile, connection: apsw.Connection) -> None:
        self._file = file
        self._connection = connection
        self._spoiled = False
        self.defined = False
        """Whether a script ran, whose changes to the schema no counter shows."""

    async def fetch_one(self, statement: Statement, *args: Any) -> Row | None:
        return self._run(lambda: _first(self._connection, statement, args))

    async def fetch_all(self, statement: Statement, *args: Any) -> list[Row]:
        return self._run(lambda: _all(self._connection, statement, args))

    async def execute(self, statement: Statement, *args: Any) -> int:
        def run() -> int:
            self._connection.execute(_text(statement), _bound(args)).close()
            return self._connection.changes()

        return self._run(run)

    async def insert_many(self, insert: Insert, rows: Sequence[Row]) -> None:
        if rows:
            self._run(lambda: self._connection.executemany(sqlite_insert(insert), rows).close())

    async def run_script(self, script: Statement) -> None:
        """Runs the definitions of a migration."""
        self.defined = True
        text = script.sqlite if isinstance(script, Dialects) else sqlite_script(script)
        self._run(lambda: self._connection.execute(text).close())

    def refuse_if_spoiled(self) -> None:
        if self._spoiled:
            raise StatementRefused("A statement of this transaction failed: it can't commit.")

    def _run(self, work: Callable[[], T]) -> T:
        self._file.statements += 1
        self.refuse_if_spoiled()
        try:
            return work()
        except _DRIVER_ERRORS as error:
            self._spoiled = True
            raise _translated(error) from error


def _rolled_back(connection: apsw.Connection) -> bool:
    """Whether it could be brought outside a transaction."""
    try:
        if not connection.get_autocommit():
            connection.execute("ROLLBACK")
    except apsw.Error as error:
        _log.warning("rollback failed, connection dropped", why=str(error))
        return False
    return True


def _first(connection: apsw.Connection, statement: Statement, args: tuple[Any, ...]) -> Row | None:
    cursor = connection.execute(_text(statement), _bound(args))
    row = cursor.fetchone()
    cursor.close()  # An unfinished statement would hold the reader's view of the database.
    return row


def _all(connection: apsw.Connection, statement: Statement, args: tuple[Any, ...]) -> list[Row]:
    return connection.execute(_text(statement), _bound(args)).fetchall()


def _text(statement: Statement) -> str:
    return numbered_placeholders(statement.sqlite if isinstance(statement, Dialects) else statement)


def _bound(args: tuple[Any, ...]) -> tuple[Any, ...]:
    for argument in args:
        if isinstance(argument, list):
            return tuple(_json(one) if isinstance(one, list) else one for one in args)
    return args


def _json(values: list[Any]) -> str:
    if values and isinstance(values[0], bytes):
        values = [value.hex() for value in values]
    return orjson.dumps(values).decode()


_WEATHER: Final = (
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.ConnectionClosedError,
    apsw.CorruptError,
    apsw.FullError,
    apsw.IOError,
    apsw.LockedError,
    apsw.NoMemError,
    apsw.NotADBError,
    apsw.PermissionsError,
    apsw.ProtocolError,
    apsw.ReadOnlyError,
)
# The last four: apsw's answers to arguments that no column takes.
_DRIVER_ERRORS: Final = (apsw.Error, TypeError, OverflowError, UnicodeError)


def _translated(error: Exception) -> Exception:
    if isinstance(error, _WEATHER):
        return Unavailable(f"The database can't do it now: {error}")
    if (
        isinstance(error, apsw.ConstraintError)
        and getattr(error, "extendedresult", 0) != apsw.SQLITE_CONSTRAINT_DATATYPE
    ):
        return Constraint(str(error))
    return StatementRefused(str(error))


async def _finished(future: "asyncio.Future[T]") -> T:
    """The result of work in a thread. A cancellation waits for it, because it can't be stopped."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.shield(future)
        except asyncio.CancelledError as error:
            cancelled = error
        except apsw.Error:
            break
    result = future.result()
    if cancelled is not None:
        raise cancelled
    return result


@asynccontextmanager
async def _bounded(
    gate: asyncio.Lock | asyncio.Semaphore, timeout_s: float, otherwise: str
) -> AsyncIterator[None]:
    if gate.locked():
        try:
            async with asyncio.timeout(timeout_s):
                await gate.acquire()
        except TimeoutError as error:
            raise Unavailable(f"{otherwise}.") from error
    else:
        await gate.acquire()
    try:
        yield
    finally:
        gate.release()
