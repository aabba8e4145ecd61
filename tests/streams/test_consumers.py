"""Consumers: every entry at least once, in order, whatever fails, and from the cursor after it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from posthouse.std.faults import Unavailable
from posthouse.storage import Owner
from posthouse.streams import (
    GET_USER_CURSOR,
    ConsumerLoop,
    EntryKind,
    UserEntry,
    UserStreams,
    Write,
)
from posthouse.streams import consumers as consumers_module
from tests.faults.database import MetDatabase, Step, failing_once
from tests.streams.conftest import ADA


class Notebook:
    """Writes down what it is handed."""

    name = "notebook"
    kinds = frozenset({EntryKind.PROFILE})

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.fails = 0

    async def handle(self, entries: Sequence[UserEntry]) -> None:
        if self.fails:
            self.fails -= 1
            raise Unavailable("not now")
        self.positions += [entry.position for entry in entries]


@asynccontextmanager
async def following(streams: UserStreams, notebook: Notebook) -> AsyncIterator[ConsumerLoop]:
    loop = ConsumerLoop(streams, notebook)
    await loop.start()
    async with asyncio.TaskGroup() as group:
        group.create_task(loop.run())
        yield loop
        loop.close()


async def append(streams: UserStreams, kind: EntryKind) -> int:
    async def work(write: Write) -> int:
        return write.append(ADA, kind)

    return await streams.write(ADA, work)


async def cursor(streams: UserStreams) -> int | None:
    stream = streams.stream_of(ADA)
    row = await streams.reader().fetch_one(GET_USER_CURSOR, "notebook", stream, stream)
    return row[0] if row else None


async def test_a_consumer_is_handed_its_kinds_in_order_and_remembers(streams: UserStreams) -> None:
    notebook = Notebook()
    wanted = [await append(streams, EntryKind.PROFILE)]
    async with following(streams, notebook) as loop:
        await append(streams, EntryKind.ACCOUNT_DATA)
        wanted += [await append(streams, EntryKind.PROFILE) for _ in range(3)]
        await loop.wait_until_idle()

    assert notebook.positions == wanted
    assert await cursor(streams) == wanted[-1]


async def test_a_consumer_that_starts_again_goes_on_after_its_cursor(streams: UserStreams) -> None:
    first = Notebook()
    async with following(streams, first) as loop:
        await append(streams, EntryKind.PROFILE)
        await loop.wait_until_idle()
    missed = await append(streams, EntryKind.PROFILE)
    second = Notebook()
    async with following(streams, second) as loop:
        await loop.wait_until_idle()

    assert second.positions == [missed]


async def test_a_consumer_that_fails_is_handed_the_same_again(
    streams: UserStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers_module, "_RETRY_S", 0.01)
    notebook = Notebook()
    notebook.fails = 2
    async with following(streams, notebook) as loop:
        position = await append(streams, EntryKind.PROFILE)
        await loop.wait_until_idle()

    assert notebook.positions == [position]


@pytest.mark.parametrize("step", [Step.READ, Step.BEGIN, Step.COMMIT, Step.COMMITTED])
async def test_a_fault_between_handling_and_the_cursor_skips_nothing(
    met: MetDatabase, streams: UserStreams, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    monkeypatch.setattr(consumers_module, "_RETRY_S", 0.01)
    notebook = Notebook()
    position = await append(streams, EntryKind.PROFILE)
    met.meet = failing_once(Owner.USER, step)
    loop = ConsumerLoop(streams, notebook)
    if step is Step.READ:
        with pytest.raises(Unavailable):
            await loop.start()
    async with following(streams, notebook) as loop:
        await loop.wait_until_idle()

    assert set(notebook.positions) == {position}
    assert await cursor(streams) == position


async def test_an_entry_whose_announcement_failed_is_handed_over_all_the_same(
    streams: UserStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = Notebook()
    async with following(streams, notebook) as loop:
        monkeypatch.setattr(UserStreams, "_tell", _raises)
        position = await append(streams, EntryKind.PROFILE)
        await loop.wait_until_idle()

    assert notebook.positions == [position]


def _raises(self: UserStreams, entries: Sequence[UserEntry]) -> None:
    raise RuntimeError("a listener's mistake")
