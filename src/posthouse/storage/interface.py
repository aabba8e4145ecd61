"""What an engine promises to the stores above it."""

import enum
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from posthouse.std.faults import Unavailable

Row = tuple[Any, ...]
"""One row, columns in the order of the SELECT or RETURNING."""


class Owner(enum.StrEnum):
    """Whose tables a transaction touches; tests put each kind into a database of its own."""

    ROOM = "room"
    USER = "user"
    GLOBAL = "global"


@dataclass(frozen=True, slots=True)
class Dialects:
    """Two spellings of one statement, where the engines truly differ."""

    sqlite: str
    postgresql: str


Statement = str | Dialects


@dataclass(frozen=True, slots=True, eq=False)
class Insert:
    """A batch insert: one `unnest` statement on PostgreSQL, one prepared statement on SQLite.

    A constant of its store: it is itself and no other, so that a row finds its batch fast.
    `columns` pairs each column with its PostgreSQL type (`bigint`, `text`, `bytea`, `smallint`);
    `conflict` is the ON CONFLICT clause, empty for none. A batch must not hold two rows that
    conflict with each other: PostgreSQL refuses to touch one row twice in a statement.
    """

    table: str
    columns: tuple[tuple[str, str], ...]
    conflict: str = ""


class Reader(Protocol):
    """Reads committed rows; each result is small enough to be held whole.

    A list argument is one array on PostgreSQL (`column = ANY($1)`) and one JSON text on SQLite
    (`column IN (SELECT value FROM json_each($1))`; for a list of bytes, which travel as
    hexadecimal, `SELECT unhex(value)`).
    """

    async def fetch_one(self, statement: Statement, *args: Any) -> Row | None: ...

    async def fetch_all(self, statement: Statement, *args: Any) -> list[Row]: ...


class Transaction(Reader, Protocol):
    """Reads and writes that become durable together or not at all.

    A statement that failed spoils its transaction, on both engines: nothing runs after it, and a
    clean exit raises. PostgreSQL runs transactions side by side (READ COMMITTED): what must not
    race begins with a statement that takes a row, as the fence does.
    """

    async def execute(self, statement: Statement, *args: Any) -> int:
        """Runs a writing statement; returns the number of rows it touched."""
        ...

    async def insert_many(self, insert: Insert, rows: Sequence[Row]) -> None: ...


class Database(Protocol):
    """One database, or three in tests: each kind of owner has its tables in exactly one."""

    @property
    def engine(self) -> Literal["sqlite", "postgresql"]: ...

    @property
    def statements(self) -> int:
        """How many statements ran since it was opened: budgets of queries are its differences."""
        ...

    def transaction(self, *, of: Owner) -> AbstractAsyncContextManager[Transaction]:
        """Begins at entry, commits at a clean exit, rolls back at an exception.

        Raises `Unavailable` when it can't begin or is known not to have committed, `InDoubt` when
        that isn't known. A cancellation before the commit rolls back; during it, the commit is
        finished or its fate is open.
        """
        ...

    def reader(self, *, of: Owner) -> Reader:
        """Single statements, each on its own view of what is committed."""
        ...

    def snapshot(self, *, of: Owner) -> AbstractAsyncContextManager[Reader]:
        """Several statements on one view of what was committed at the first of them."""
        ...

    async def close(self) -> None: ...


class InDoubt(Unavailable):
    """The answer to COMMIT was lost: it may have happened. The fence row decides."""


class Constraint(Exception):
    """A uniqueness, check or NOT NULL constraint refused a row. Carries the driver's text."""


class StatementRefused(Exception):
    """The database doesn't understand a statement or its arguments: a bug, never the weather.

    So is a statement on a table that is another kind of owner's, where each has its own database.
    """


class SchemaRefused(Exception):
    """The database was written by a release that this one may not open, or by no release."""
