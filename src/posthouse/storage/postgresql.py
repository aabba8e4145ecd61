"""The engine for more: PostgreSQL through `asyncpg`.

(1) Each wait is bounded: for a connection, for a statement (on both sides), for a commit.
(2) A connection that failed, timed out or was cancelled in the middle of something is closed and
    never used again; the next one to need it makes a new one. That is how service resumes.
(3) An answer to COMMIT that didn't come is `InDoubt`; whatever else failed left nothing behind.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, Literal, TypeVar

import asyncpg  # type: ignore[import-untyped]  # It carries no types.
import structlog

from posthouse.std.faults import Unavailable
from posthouse.storage.dialect import postgresql_insert
from posthouse.storage.interface import (
    Constraint,
    Dialects,
    InDoubt,
    Insert,
    Owner,
    Reader,
    Row,
    SchemaRefused,
    Statement,
    StatementRefused,
)

T = TypeVar("T")

_OLDEST_SERVER: Final = 15
_CACHED_STATEMENTS: Final = 500
_CONNECT_S: Final = 5.0
_MIGRATION_S: Final = 3600.0

_log = structlog.get_logger("posthouse.storage")


class PostgresqlDatabase:
    """One database, or one for each kind of owner."""

    engine: Final[Literal["sqlite", "postgresql"]] = "postgresql"

    def __init__(self, servers: "Mapping[Owner, PostgresqlServer]") -> None:
        self._servers = servers

    @property
    def statements(self) -> int:
        return sum(server.statements for server in set(self._servers.values()))

    def transaction(self, *, of: Owner) -> "AbstractAsyncContextManager[PostgresqlTransaction]":
        return self._servers[of].transaction()

    def reader(self, *, of: Owner) -> Reader:
        return self._servers[of].reader

    def snapshot(self, *, of: Owner) -> AbstractAsyncContextManager[Reader]:
        return self._servers[of].snapshot()

    async def close(self) -> None:
        for server in set(self._servers.values()):
            await server.close()


class PostgresqlServer:
    """The connections to one database."""

    def __init__(self, url: str, *, connections: int, timeout_s: float) -> None:
        """Opens nothing yet."""
        self.statements = 0
        self._readers = _Pool(url, size=connections, timeout_s=timeout_s, read_only=True)
        self._writers = _Pool(url, size=connections, timeout_s=timeout_s, read_only=False)
        self.reader = _PoolReader(self, self._readers)

    async def check(self) -> None:
        """Raises SchemaRefused when the server or the database isn't one we can keep promises on."""
        connection, _ = await self._writers.take()
        try:
            version = connection.get_server_version()
            if version.major < _OLDEST_SERVER:
                raise SchemaRefused(
                    f"PostgreSQL {version.major} is too old: Posthouse needs {_OLDEST_SERVER} or "
                    "newer."
                )
            async with _translating(connection):
                row = await connection.fetchrow(_TRAITS)
            _refuse_unfit(*row)
        finally:
            self._writers.give(connection)

    @asynccontextmanager
    async def transaction(self) -> "AsyncIterator[PostgresqlTransaction]":
        connection = await self._writers.begin("BEGIN")
        try:
            transaction = PostgresqlTransaction(self, connection)
            try:
                yield transaction
                transaction.refuse_if_spoiled()
            except Exception:
                await _roll_back(connection)
                raise
            await _commit(connection)
        except BaseException as error:
            if not isinstance(error, Exception):
                connection.terminate()
            raise
        finally:
            self._writers.give(connection)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Reader]:
        connection = await self._readers.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield _ConnectionReader(self, connection)
            await _roll_back(connection)
        except BaseException:
            connection.terminate()
            raise
        finally:
            self._readers.give(connection)

    async def close(self) -> None:
        await self._readers.close()
        await self._writers.close()


class _Pool:
    """Connections that are alike, the last used first. `asyncpg`'s own pool asks the server to
    reset each connection when it comes back, a round trip that nothing here needs.
    """

    def __init__(self, url: str, *, size: int, timeout_s: float, read_only: bool) -> None:
        self._url = url
        self._size = size
        self._timeout_s = timeout_s
        self._read_only = read_only
        self._idle: list[Any] = []
        self._open: set[Any] = set()
        self._opening = 0
        self._closed = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> tuple[Any, bool]:
        """A connection, and whether it is a new one. Raises Unavailable within the time-out."""
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        while not self._closed:
            while self._idle:
                connection = self._idle.pop()
                if not connection.is_closed():
                    return connection, False
                self._open.discard(connection)
            if len(self._open) + self._opening < self._size:
                return await self._connect(), True
            await self._wait(deadline)
        raise Unavailable("The database is closed.")

    def give(self, connection: Any) -> None:
        """Takes it back: to be used again if it is open and outside a transaction."""
        if not connection.is_closed() and connection.is_in_transaction():
            connection.terminate()
        if connection.is_closed():
            self._open.discard(connection)
        else:
            self._idle.append(connection)
        self._wake()

    async def begin(self, statement: str) -> Any:
        """A connection in a transaction. One that died while it was idle is not an error yet."""
        while True:
            connection, new = await self.take()
            try:
                async with _translating(connection):
                    await connection.execute(statement)
            except Unavailable:
                self.give(connection)
                if new:
                    raise
            except BaseException:
                self.give(connection)
                raise
            else:
                return connection

    async def run(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """The result of one read, tried again when an idle connection turns out to be dead."""
        while True:
            connection, new = await self.take()
            try:
                async with _translating(connection):
                    return await work(connection)
            except Unavailable:
                if new or not connection.is_closed():
                    raise
            finally:
                self.give(connection)

    async def close(self) -> None:
        self._closed = True
        for connection in list(self._open):
            if connection in self._idle:
                try:
                    await connection.close(timeout=_CONNECT_S)
                except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                    _log.warning("connection didn't close cleanly", why=str(error))
            else:
                connection.terminate()
        self._idle.clear()
        self._open.clear()

    async def _connect(self) -> Any:
        self._opening += 1
        try:
            connection = await _connect(self._url, self._timeout_s, read_only=self._read_only)
            self._open.add(connection)
            return connection
        finally:
            self._opening -= 1
            if len(self._open) + self._opening < self._size:
                self._wake()

    async def _wait(self, deadline: float) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout_at(deadline):
                await turn
        except BaseException as error:
            if turn in self._waiting:
                self._waiting.remove(turn)
            else:
                self._wake()  # The turn that came too late is someone else's.
            if isinstance(error, TimeoutError):
                raise Unavailable("All connections to the database are in use.") from error
            raise

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return


class _PoolReader:
    """Each statement on whichever connection is free."""

    def __init__(self, server: PostgresqlServer, pool: _Pool) -> None:
        self._server = server
        self._pool = pool

    async def fetch_one(self, statement: Statement, *args: Any) -> Row | None:
        self._server.statements += 1
        text = _text(statement)
        row = await self._pool.run(lambda connection: connection.fetchrow(text, *args))
        return None if row is None else tuple(row)

    async def fetch_all(self, statement: Statement, *args: Any) -> list[Row]:
        self._server.statements += 1
        text = _text(statement)
        rows = await self._pool.run(lambda connection: connection.fetch(text, *args))
        return list(map(tuple, rows))


class _ConnectionReader:
    """Statements on one connection, inside a transaction."""

    def __init__(self, server: PostgresqlServer, connection: Any) -> None:
        self._server = server
        self._connection = connection
        self._spoiled = False

    async def fetch_one(self, statement: Statement, *args: Any) -> Row | None:
        row = await self._run(self._connection.fetchrow, _text(statement), *args)
        return None if row is None else tuple(row)

    async def fetch_all(self, statement: Statement, *args: Any) -> list[Row]:
        rows = await self._run(self._connection.fetch, _text(statement), *args)
        return list(map(tuple, rows))

    def refuse_if_spoiled(self) -> None:
        if self._spoiled:
            raise StatementRefused("A statement of this transaction failed: it can't commit.")

    async def _run(self, call: Callable[..., Awaitable[T]], *args: Any) -> T:
        self._server.statements += 1
        self.refuse_if_spoiled()
        self._spoiled = True
        async with _translating(self._connection):
            result = await call(*args)
        self._spoiled = False
        return result


class PostgresqlTransaction(_ConnectionReader):
    """Statements between BEGIN and COMMIT."""

    async def execute(self, statement: Statement, *args: Any) -> int:
        status = await self._run(self._connection.execute, _text(statement), *args)
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def insert_many(self, insert: Insert, rows: Sequence[Row]) -> None:
        if rows:
            columns = zip(*rows, strict=True)
            await self._run(self._connection.execute, postgresql_insert(insert), *columns)

    async def run_script(self, script: Statement) -> None:
        """Runs the definitions of a migration, which may take their time."""
        text = f"SET LOCAL statement_timeout = 0;\n{_text(script)}"

        async def run() -> None:
            await self._connection.execute(text, timeout=_MIGRATION_S)

        await self._run(run)


async def _commit(connection: Any) -> None:
    try:
        status = await connection.execute("COMMIT")
    except Exception as error:
        told = isinstance(error, asyncpg.PostgresError) and not isinstance(error, _CONNECTION_LOST)
        if told and not connection.is_closed():
            raise _translated(error) from error  # The server says that it rolled back.
        connection.terminate()
        raise InDoubt(f"The answer to a commit was lost: {error!r}") from error
    if status != "COMMIT":
        raise StatementRefused(f"PostgreSQL answered {status} to COMMIT.")


async def _roll_back(connection: Any) -> None:
    if connection.is_closed() or not connection.is_in_transaction():
        return
    try:
        await connection.execute("ROLLBACK")
    except _DRIVER_ERRORS as error:
        _log.warning("rollback failed, connection dropped", why=repr(error))
        connection.terminate()


async def _connect(url: str, timeout_s: float, *, read_only: bool) -> Any:
    try:
        return await asyncpg.connect(
            url,
            timeout=min(_CONNECT_S, timeout_s + 2),
            # The server's own time-out comes first and keeps the connection.
            command_timeout=timeout_s + 2,
            statement_cache_size=_CACHED_STATEMENTS,
            max_cached_statement_lifetime=0,
            target_session_attrs="primary",
            server_settings={
                "application_name": "posthouse",
                "statement_timeout": str(int(timeout_s * 1000)),
                "idle_in_transaction_session_timeout": str(int(timeout_s * 6000)),
                "search_path": "public",
                "jit": "off",  # Compiling a statement takes longer than any of ours runs.
                **({"default_transaction_read_only": "on"} if read_only else {}),
            },
        )
    except (*_DRIVER_ERRORS, asyncpg.ClientConfigurationError) as error:
        raise Unavailable(
            f"Can't connect to PostgreSQL: {error or type(error).__name__}"
        ) from error


_TRAITS: Final = """
    SELECT pg_encoding_to_char(encoding), datlocprovider::text, datcollate,
           current_setting('synchronous_commit'), current_setting('fsync')
    FROM pg_database WHERE datname = current_database()
"""


def _refuse_unfit(
    encoding: str, provider: str, collate: str, synchronous_commit: str, fsync: str
) -> None:
    if encoding != "UTF8":
        raise SchemaRefused(
            f"The database's encoding is {encoding}: Posthouse needs UTF8 "
            "(CREATE DATABASE … ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0)."
        )
    # The server's built-in provider (from 17) sorts by code point whatever its locale is.
    if provider != "b" and not (provider == "c" and collate in ("C", "POSIX")):
        raise SchemaRefused(
            f"The database's collation is {collate} (provider {provider}): Posthouse needs C, so "
            "that names sort alike everywhere "
            "(CREATE DATABASE … ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0)."
        )
    if synchronous_commit == "off":
        raise SchemaRefused(
            "synchronous_commit is off: PostgreSQL would answer before a commit is on disk, "
            "and acknowledged messages could be lost. Turn it on."
        )
    if fsync != "on":
        _log.warning("fsync is off in PostgreSQL: a crash of the machine loses data")


def _text(statement: Statement) -> str:
    return statement.postgresql if isinstance(statement, Dialects) else statement


_CONNECTION_LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    OSError,
    TimeoutError,
)
_WEATHER: Final = (
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.InternalServerError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ObjectNotInPrerequisiteStateError,
)
# The last four: asyncpg's answers to arguments that no column takes.
_DRIVER_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
    TypeError,
    ValueError,
    OverflowError,
)


@asynccontextmanager
async def _translating(connection: Any) -> AsyncIterator[None]:
    try:
        yield
    except _DRIVER_ERRORS as error:
        if isinstance(error, _CONNECTION_LOST):
            # A read-only answer is an old primary's after a failover: the next connection finds
            # the new one.
            connection.terminate()
        if connection.is_closed():
            raise Unavailable(f"PostgreSQL went away: {error!r}") from error
        raise _translated(error) from error
    except BaseException:
        connection.terminate()
        raise


def _translated(error: Exception) -> Exception:
    if isinstance(error, _WEATHER):
        return Unavailable(f"PostgreSQL can't do it now: {error}")
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return Constraint(str(error))
    return StatementRefused(str(error))
