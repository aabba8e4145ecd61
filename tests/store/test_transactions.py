"""A transaction is durable whole or leaves nothing, and readers see only what is committed."""

import asyncio

import pytest

from posthouse.std.faults import Unavailable
from posthouse.storage import Constraint, Database, Owner, StatementRefused
from tests.databases import Place, read_only
from tests.store.conftest import LETTERS

ROOM = Owner.ROOM
POSITIONS = "SELECT position FROM letters ORDER BY position"


async def positions(database: Database) -> list[int]:
    return [position for (position,) in await database.reader(of=ROOM).fetch_all(POSITIONS)]


async def write(database: Database, position: int) -> None:
    async with database.transaction(of=ROOM) as transaction:
        await transaction.insert_many(LETTERS, [(position, "ada", b"")])


async def test_what_was_committed_is_there_after_opening_again(letter_place: Place) -> None:
    async with letter_place.opened() as database:
        await write(database, 1)
    async with letter_place.opened() as database:
        assert await positions(database) == [1]


async def test_an_exception_rolls_back_and_the_next_transaction_runs(letters: Database) -> None:
    async def write_and_fail() -> None:
        async with letters.transaction(of=ROOM) as transaction:
            await transaction.insert_many(LETTERS, [(1, "ada", b"")])
            raise LookupError

    with pytest.raises(LookupError):
        await write_and_fail()
    await write(letters, 2)
    assert await positions(letters) == [2]


async def test_a_cancellation_rolls_back_and_the_next_transaction_runs(letters: Database) -> None:
    inside = asyncio.Event()

    async def linger() -> None:
        async with letters.transaction(of=ROOM) as transaction:
            await transaction.insert_many(LETTERS, [(1, "ada", b"")])
            inside.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        lingering = group.create_task(linger())
        await inside.wait()
        lingering.cancel()
    await write(letters, 2)
    assert await positions(letters) == [2]


async def test_a_cancellation_at_any_moment_leaves_all_or_nothing(letters: Database) -> None:
    async def write_two(first: int) -> None:
        async with letters.transaction(of=ROOM) as transaction:
            await transaction.insert_many(LETTERS, [(first, "ada", b"")])
            await transaction.insert_many(LETTERS, [(first + 1, "ada", b"")])

    for turns in range(30):
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(write_two(2 * turns))
            for _ in range(turns):
                await asyncio.sleep(0)
            writing.cancel()
    await write(letters, 1000)
    found = await positions(letters)
    assert found.pop() == 1000
    assert found == sorted(half for even in found[::2] for half in (even, even + 1))


async def test_a_failed_statement_spoils_its_transaction(letters: Database) -> None:
    await write(letters, 1)

    async def write_in_spite_of_a_failure() -> None:
        async with letters.transaction(of=ROOM) as transaction:
            await transaction.insert_many(LETTERS, [(2, "ada", b"")])
            with pytest.raises(Constraint):
                await transaction.insert_many(LETTERS, [(1, "ada", b"")])

    with pytest.raises(StatementRefused):
        await write_in_spite_of_a_failure()
    await write(letters, 3)
    assert await positions(letters) == [1, 3]


async def test_nobody_sees_a_row_before_its_commit(letters: Database) -> None:
    async with letters.transaction(of=ROOM) as transaction:
        await transaction.insert_many(LETTERS, [(1, "ada", b"")])
        assert await transaction.fetch_all(POSITIONS) == [(1,)]
        assert await positions(letters) == []
    assert await positions(letters) == [1]


async def test_writers_that_take_the_fence_first_follow_each_other(letters: Database) -> None:
    async with letters.transaction(of=ROOM) as transaction:
        await transaction.insert_many(LETTERS, [(0, "0", b"")])

    async def count_up() -> None:
        async with letters.transaction(of=ROOM) as transaction:
            await transaction.execute("UPDATE letters SET stamped = 1 WHERE position = 0")
            row = await transaction.fetch_one("SELECT sender FROM letters WHERE position = 0")
            assert row is not None
            await asyncio.sleep(0)
            await transaction.execute(
                "UPDATE letters SET sender = $1 WHERE position = 0", str(int(row[0]) + 1)
            )

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(count_up())
    assert await letters.reader(of=ROOM).fetch_all("SELECT sender FROM letters") == [("20",)]


async def test_a_snapshot_stays_on_what_it_saw_first(letters: Database) -> None:
    await write(letters, 1)
    async with letters.snapshot(of=ROOM) as snapshot:
        assert await snapshot.fetch_all(POSITIONS) == [(1,)]
        await write(letters, 2)
        assert await snapshot.fetch_all(POSITIONS) == [(1,)]
        assert await positions(letters) == [1, 2]
    async with letters.snapshot(of=ROOM) as snapshot:
        assert await snapshot.fetch_all(POSITIONS) == [(1,), (2,)]


async def test_a_failure_inside_a_snapshot_gives_its_connection_back(letters: Database) -> None:
    async def read_and_fail() -> None:
        async with letters.snapshot(of=ROOM) as snapshot:
            await snapshot.fetch_all(POSITIONS)
            raise LookupError

    for _ in range(20):
        with pytest.raises(LookupError):
            await read_and_fail()
    await write(letters, 1)
    async with letters.snapshot(of=ROOM) as snapshot:
        assert await snapshot.fetch_all(POSITIONS) == [(1,)]


async def test_a_database_that_takes_no_writes_refuses_and_heals(
    letter_place: Place, letters: Database
) -> None:
    await write(letters, 1)
    async with read_only(letter_place, letters):
        for _ in range(3):
            with pytest.raises(Unavailable):
                await write(letters, 2)
        assert await positions(letters) == [1]
    await write(letters, 3)
    assert await positions(letters) == [1, 3]


async def test_a_closed_database_says_so(letter_place: Place) -> None:
    async with letter_place.opened() as database:
        reader = database.reader(of=ROOM)
    with pytest.raises(Unavailable):
        await reader.fetch_all(POSITIONS)
    with pytest.raises(Unavailable):
        await write(database, 1)
    async with letter_place.opened() as database:
        assert await positions(database) == []


async def test_two_engines_on_one_database_take_turns(letter_place: Place) -> None:
    first = await letter_place.open(exclusive=False)
    second = await letter_place.open(exclusive=False)
    try:
        async with asyncio.TaskGroup() as group:
            for position in range(0, 40, 2):
                group.create_task(write(first, position))
                group.create_task(write(second, position + 1))
        assert await positions(first) == await positions(second) == list(range(40))
    finally:
        await first.close()
        await second.close()
