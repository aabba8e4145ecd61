"""Works in batches: many share a transaction, and none pays for another's fate."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from posthouse.matrix import InvalidParam, UserId
from posthouse.std.faults import Unavailable
from posthouse.storage import Owner
from posthouse.streams import EntryKind, Overloaded, UserEntry, UserStreams, Write
from posthouse.streams.writer import BATCHES_WAITING_MAX, JOBS_PER_BATCH_MAX
from tests.faults.database import Gate, MetDatabase, Step
from tests.http.support import until
from tests.streams.conftest import ADA

LOG = "SELECT position, subject FROM user_entries WHERE user_id = $1 ORDER BY position"


async def note(write: Write) -> int:
    return write.append(ADA, EntryKind.ACCOUNT_DATA, "note")


async def refused(write: Write) -> None:
    raise InvalidParam("no")


async def refused_too_late(write: Write) -> None:
    write.append(ADA, EntryKind.ACCOUNT_DATA, "half")
    raise InvalidParam("no, after all")


async def wrong(write: Write) -> None:
    write.append(ADA, EntryKind.ACCOUNT_DATA, "half")
    await write.execute("INSERT INTO no_such_table (a) VALUES (1)")


async def _log(streams: UserStreams) -> list[tuple[int, str]]:
    rows = await streams.reader().fetch_all(LOG, ADA)
    return [(position, subject) for position, subject in rows]


async def test_what_waits_together_is_committed_together(
    met: MetDatabase, streams: UserStreams
) -> None:
    await streams.write(ADA, note)
    transactions = 0

    async def count(owner: Owner, step: Step) -> None:
        nonlocal transactions
        transactions += step is Step.BEGIN

    met.meet = count
    before = met.statements
    async with asyncio.TaskGroup() as group:
        works = [group.create_task(streams.write(ADA, note)) for _ in range(100)]

    assert transactions == 1
    # The fence before and after, and a row for each work.
    assert met.statements - before <= 2 + len(works)
    assert [work.result() for work in works] == list(range(2, 102))


async def test_positions_are_gapless_whatever_is_refused_or_goes_wrong(
    met: MetDatabase, streams: UserStreams
) -> None:
    works: list[Any] = [note, refused, note, refused_too_late, note, wrong, note]
    results = await asyncio.gather(
        *(streams.write(ADA, work) for work in works), return_exceptions=True
    )

    assert [results[n] for n in (0, 2, 4, 6)] == [1, 2, 3, 4]
    assert [type(results[n]) for n in (1, 3)] == [InvalidParam, InvalidParam]
    assert isinstance(results[5], Exception)
    assert not isinstance(results[5], Unavailable)
    assert await _log(streams) == [(n, "note") for n in (1, 2, 3, 4)]
    assert streams.head_of(ADA) == 4


async def test_what_a_work_says_after_the_commit_is_said_once_and_before_its_answer(
    streams: UserStreams,
) -> None:
    told: list[str] = []

    async def telling(write: Write) -> None:
        write.append(ADA, EntryKind.ACCOUNT_DATA, "told")
        write.after_commit(lambda: told.append("told"))

    # The batch runs a second time, without the work that spoilt it.
    results = await asyncio.gather(
        streams.write(ADA, telling), streams.write(ADA, wrong), return_exceptions=True
    )

    assert told == ["told"]
    assert results[0] is None


async def test_entries_are_announced_after_the_commit_in_order(
    met: MetDatabase, streams: UserStreams
) -> None:
    heard: list[int] = []

    def listen(entries: Sequence[UserEntry]) -> None:
        heard.extend(entry.position for entry in entries)

    streams.listen(listen)
    gate = Gate(Owner.USER, Step.COMMIT)
    met.meet = gate.meet
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(streams.write(ADA, note))
        await gate.reached.wait()
        assert heard == []
        gate.opened.set()

    assert heard == [1, 2, 3]


async def test_a_write_whose_caller_hung_up_is_done_all_the_same(
    met: MetDatabase, streams: UserStreams
) -> None:
    gate = Gate(Owner.USER, Step.COMMIT)
    met.meet = gate.meet
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(streams.write(ADA, note))
        await gate.reached.wait()
        stays = group.create_task(streams.write(ADA, note))
        gone.cancel()
        gate.opened.set()

    assert stays.result() == 2
    assert await _log(streams) == [(1, "note"), (2, "note")]


async def test_more_than_a_writer_may_hold_is_refused_as_overload(
    met: MetDatabase, streams: UserStreams
) -> None:
    gate = Gate(Owner.USER, Step.COMMIT)
    met.meet = gate.meet
    writer = streams.writers[streams.stream_of(ADA)]
    waiting = [writer.submit(note)]
    await gate.reached.wait()
    waiting += [writer.submit(note) for _ in range(JOBS_PER_BATCH_MAX * BATCHES_WAITING_MAX)]

    with pytest.raises(Overloaded) as overload:
        writer.submit(note)
    assert isinstance(overload.value, Unavailable), "answered 503 with Retry-After"
    gate.opened.set()
    await asyncio.gather(*waiting)

    assert streams.head_of(ADA) == len(waiting)
    assert await writer.submit(note) == len(waiting) + 1


async def test_a_writer_that_is_closed_in_the_middle_of_a_fault_ends(
    met: MetDatabase, streams: UserStreams
) -> None:
    """A stop must not wait for a database that is gone."""

    async def gone(owner: Owner, step: Step) -> None:
        raise Unavailable("gone")

    met.meet = gone
    with pytest.raises(Unavailable):
        await streams.write(ADA, note)

    streams.close()  # the fixture's task group ends with it

    with pytest.raises(Unavailable):
        await streams.write(ADA, note)


async def test_a_work_for_somebody_of_another_stream_is_our_mistake(streams: UserStreams) -> None:
    other = UserId("@boris:localhost")

    async def wrong_person(write: Write) -> None:
        assert write._streams.stream_of(other) == write._stream
        write.append(other, EntryKind.ACCOUNT_DATA)

    await streams.write(ADA, wrong_person)
    await until(lambda: streams.head_of(ADA) == 1)
