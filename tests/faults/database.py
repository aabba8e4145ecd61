"""A real database that fails, or waits, where a test says so.

Nothing is imitated: transactions run on the engine beneath. What is added is a moment before each
step at which a test may hold the writer, raise what the world would raise, or cut the answer of a
commit that did happen.
"""

import asyncio
import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal

from posthouse.std.faults import Unavailable
from posthouse.storage import Database, InDoubt, Insert, Owner, Reader, Row, Statement, Transaction


class Step(enum.Enum):
    """Where a transaction, or a single read, can be met."""

    READ = "read"
    BEGIN = "begin"
    INSERT = "insert"
    COMMIT = "commit"
    COMMITTED = "committed"
    """The commit happened; raising here loses its answer."""


Meet = Callable[[Owner, Step], Awaitable[None]]


class MetReader:
    """A reader that meets the test before each read."""

    def __init__(self, inner: Reader, meet: Callable[[Step], Awaitable[None]]) -> None:
        self._inner = inner
        self._meet = meet

    async def fetch_one(self, statement: Statement, *args: Any) -> Row | None:
        await self._meet(Step.READ)
        return await self._inner.fetch_one(statement, *args)

    async def fetch_all(self, statement: Statement, *args: Any) -> list[Row]:
        await self._meet(Step.READ)
        return await self._inner.fetch_all(statement, *args)


class MetTransaction:
    """A transaction that meets the test before its inserts."""

    def __init__(self, inner: Transaction, meet: Callable[[Step], Awaitable[None]]) -> None:
        self._inner = inner
        self._meet = meet

    async def fetch_one(self, statement: Statement, *args: Any) -> Row | None:
        return await self._inner.fetch_one(statement, *args)

    async def fetch_all(self, statement: Statement, *args: Any) -> list[Row]:
        return await self._inner.fetch_all(statement, *args)

    async def execute(self, statement: Statement, *args: Any) -> int:
        return await self._inner.execute(statement, *args)

    async def insert_many(self, insert: Insert, rows: Sequence[Row]) -> None:
        await self._meet(Step.INSERT)
        await self._inner.insert_many(insert, rows)


class MetDatabase:
    """A database whose transactions meet `meet`."""

    engine: Literal["sqlite", "postgresql"]

    def __init__(self, inner: Database) -> None:
        self._inner = inner
        self.engine = inner.engine
        self.meet: Meet = _pass

    def reader(self, *, of: Owner) -> Reader:
        async def meet(step: Step) -> None:
            await self.meet(of, step)

        return MetReader(self._inner.reader(of=of), meet)

    def snapshot(self, *, of: Owner) -> AbstractAsyncContextManager[Reader]:
        return self._inner.snapshot(of=of)

    @asynccontextmanager
    async def transaction(self, *, of: Owner) -> AsyncIterator[Transaction]:
        async def meet(step: Step) -> None:
            await self.meet(of, step)

        await meet(Step.BEGIN)
        async with self._inner.transaction(of=of) as tx:
            yield MetTransaction(tx, meet)
            await meet(Step.COMMIT)
        await meet(Step.COMMITTED)

    async def close(self) -> None:
        await self._inner.close()

    @property
    def statements(self) -> int:
        return self._inner.statements


async def _pass(owner: Owner, step: Step) -> None:
    return None


def failing_once(owner: Owner, step: Step, fault: Exception | None = None) -> Meet:
    """Fails the next transaction of an owner at a step, then never again."""
    left = [True]

    async def meet(met_owner: Owner, met_step: Step) -> None:
        if (met_owner, met_step) == (owner, step) and left[0]:
            left[0] = False
            if fault is not None:
                raise fault
            if step is Step.COMMITTED:
                raise InDoubt("the answer to COMMIT was lost")
            raise Unavailable(f"failed at {step.value}")

    return meet


class Gate:
    """Holds transactions of an owner at a step until it is opened."""

    def __init__(self, owner: Owner, step: Step) -> None:
        self._at = owner, step
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        self.fault: Exception | None = None
        """Raised when the gate opens, where the test wants the step to fail."""

    async def meet(self, owner: Owner, step: Step) -> None:
        if (owner, step) == self._at and not self.opened.is_set():
            self.reached.set()
            await self.opened.wait()
            if self.fault is not None:
                fault, self.fault = self.fault, None
                raise fault


class OneVisit(Gate):
    """Holds the n-th visit of a step only; what comes before and after it passes."""

    def __init__(self, owner: Owner, step: Step, n: int = 1) -> None:
        super().__init__(owner, step)
        self._left = n

    async def meet(self, owner: Owner, step: Step) -> None:
        if (owner, step) == self._at:
            self._left -= 1
            if self._left == 0:
                await super().meet(owner, step)
