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


@dataclass(frozen=True, slots=True)
class Insert:
    """A batch insert: one `unnest` statement on PostgreSQL, one prepared statement on SQLite.

    `columns` pairs each column with its PostgreSQL type (`bigint`, `text`, `bytea`, `smallint`);
    `conflict` is the ON CONFLICT clause, empty for none. A batch must not hold two rows that
    conflict with each other: PostgreSQL refuses to touch one row twice in a statement.
    """

    table: str
    columns: tuple[tuple[str, str], ...]
    conflict: str = ""


class Reader(Protocol):
    """Reads committed rows. A list argument is for `= ANY($1)` and becomes an array or JSON."""

    async def fetch_one(self, statement: Statement, *args: Any) -> Row | None: ...

    async def fetch_all(self, statement: Statement, *args: Any) -> list[Row]: ...


class Transaction(Reader, Protocol):
    """Reads and writes that become durable together or not at all."""

    async def execute(self, statement: Statement, *args: Any) -> int:
        """Runs a writing statement; returns the number of rows it touched."""
        ...

    async def insert_many(self, insert: Insert, rows: Sequence[Row]) -> None: ...


class Database(Protocol):
    """One database, or three in tests: each kind of owner has its tables in exactly one."""

    engine: Literal["sqlite", "postgresql"]

    def transaction(self, *, of: Owner) -> AbstractAsyncContextManager[Transaction]:
        """Begins at entry, commits at a clean exit, rolls back at an exception."""
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
    """A uniqueness or check constraint refused a row. Carries the driver's text."""


class SchemaRefused(Exception):
    """The database was written by a release that this one may not open, or by no release."""
