"""PostgreSQL killed, silent, away or unfit: bounded, clear, and healed by itself."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from posthouse.std.faults import Unavailable
from posthouse.storage import Database, InDoubt, Owner, SchemaRefused, StorageSettings
from tests.databases import Place
from tests.postgresql_server import PostgresqlProcess, connected
from tests.store.conftest import LETTERS, TABLES

ROOM = Owner.ROOM


@pytest.fixture(scope="module")
def cluster() -> Iterator[PostgresqlProcess]:
    """A server of this module's own, because it is killed; it syncs, because that is the point."""
    server = PostgresqlProcess(fsync=True)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
async def here(cluster: PostgresqlProcess, tmp_path: Path) -> Place:
    name = f"database_{tmp_path.name}"
    async with connected(cluster.url()) as server:
        await server.execute(f"CREATE DATABASE {name}")
    settings = StorageSettings(url=cluster.url(name), timeout=timedelta(seconds=5), connections=3)
    return Place(settings, tmp_path / "data", migrations=TABLES)


async def write(database: Database, position: int) -> None:
    async with database.transaction(of=ROOM) as transaction:
        await transaction.insert_many(LETTERS, [(position, "ada", b"")])


async def positions(database: Database) -> list[int]:
    statement = "SELECT position FROM letters ORDER BY position"
    return [position for (position,) in await database.reader(of=ROOM).fetch_all(statement)]


async def test_a_kill_inside_a_transaction_leaves_nothing_and_service_resumes(
    here: Place, cluster: PostgresqlProcess
) -> None:
    async with here.opened() as database:
        await write(database, 1)

        async def write_across_a_kill() -> None:
            async with database.transaction(of=ROOM) as transaction:
                await transaction.insert_many(LETTERS, [(2, "ada", b"")])
                cluster.kill()
                await transaction.insert_many(LETTERS, [(3, "ada", b"")])

        with pytest.raises(Unavailable) as failure:
            await write_across_a_kill()
        assert not isinstance(failure.value, InDoubt)
        for _ in range(3):
            with pytest.raises(Unavailable):
                await write(database, 4)
            with pytest.raises(Unavailable):
                await positions(database)
        cluster.start()
        assert await positions(database) == [1]
        await write(database, 5)
        assert await positions(database) == [1, 5]


async def test_a_kill_during_a_commit_is_in_doubt(here: Place, cluster: PostgresqlProcess) -> None:
    async with here.opened() as database:

        async def write_and_kill() -> None:
            async with database.transaction(of=ROOM) as transaction:
                await transaction.insert_many(LETTERS, [(1, "ada", b"")])
                cluster.pause()
                asyncio.get_running_loop().call_later(0.1, cluster.kill)

        with pytest.raises(InDoubt):
            await write_and_kill()
        cluster.start()
        assert await positions(database) in ([], [1])
        await write(database, 2)
        assert 2 in await positions(database)


async def test_an_acknowledged_write_survives_a_kill(
    here: Place, cluster: PostgresqlProcess
) -> None:
    async with here.opened() as database:
        acknowledged: set[int] = set()

        async def keep_writing(first: int) -> None:
            for position in range(first, first + 1000):
                await write(database, position)
                acknowledged.add(position)
                if len(acknowledged) == 60:
                    cluster.kill()

        outcomes = await asyncio.gather(
            *(keep_writing(1000 * number) for number in range(3)), return_exceptions=True
        )
        assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
        cluster.start()
        found = set(await positions(database))
        assert acknowledged <= found
        assert len(found - acknowledged) <= 3


async def test_a_restart_between_two_statements_is_not_noticed(
    here: Place, cluster: PostgresqlProcess
) -> None:
    async with here.opened() as database:
        await write(database, 1)
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(positions(database))
        cluster.stop()
        cluster.start()
        # No turn of the event loop in between: the connections don't know yet that they are dead.
        await write(database, 2)
        assert await positions(database) == [1, 2]


async def test_a_server_that_falls_silent_is_given_up_in_time(
    here: Place, cluster: PostgresqlProcess
) -> None:
    async with here.with_settings(timeout=timedelta(milliseconds=100)).opened() as database:
        await write(database, 1)
        loop = asyncio.get_running_loop()
        cluster.pause()
        try:
            asked = loop.time()
            with pytest.raises(Unavailable):
                await positions(database)
            with pytest.raises(Unavailable):
                await write(database, 2)
            # 2.1 s of patience for a statement and for a new connection, each at most twice.
            assert loop.time() - asked < 20
        finally:
            cluster.resume()
        await write(database, 3)
        assert 3 in await positions(database)


async def test_more_transactions_than_connections_wait_their_turn(here: Place) -> None:
    async with here.opened() as database:
        async with asyncio.TaskGroup() as group:
            for position in range(50):
                group.create_task(write(database, position))
        assert await positions(database) == list(range(50))


async def test_a_transaction_that_gets_no_connection_is_unavailable(here: Place) -> None:
    async with here.with_settings(
        timeout=timedelta(milliseconds=100), connections=1
    ).opened() as database:
        async with database.transaction(of=ROOM) as transaction:
            with pytest.raises(Unavailable):
                await write(database, 1)
            await transaction.insert_many(LETTERS, [(2, "ada", b"")])
        await write(database, 3)
        assert await positions(database) == [2, 3]


async def test_cancelled_readers_give_their_places_back(here: Place) -> None:
    async with here.opened() as database:
        await write(database, 1)
        for turns in range(20):
            async with asyncio.TaskGroup() as group:
                reading = [group.create_task(positions(database)) for _ in range(5)]
                for _ in range(turns):
                    await asyncio.sleep(0)
                for task in reading:
                    task.cancel()
        assert await positions(database) == [1]


async def test_a_statement_that_takes_too_long_is_unavailable(here: Place) -> None:
    async with here.with_settings(timeout=timedelta(milliseconds=100)).opened() as database:
        with pytest.raises(Unavailable):
            await database.reader(of=ROOM).fetch_one("SELECT pg_sleep(30)")
        assert await positions(database) == []


async def test_a_full_disk_is_unavailable(here: Place, cluster: PostgresqlProcess) -> None:
    async with here.opened() as database:
        with pytest.raises(Unavailable):
            async with database.transaction(of=ROOM) as transaction:
                await transaction.execute(
                    "DO $do$ BEGIN RAISE EXCEPTION USING ERRCODE = 'disk_full'; END $do$"
                )
        await write(database, 1)


async def test_a_database_that_sorts_by_language_is_refused(
    cluster: PostgresqlProcess, tmp_path: Path
) -> None:
    async with connected(cluster.url()) as server:
        await server.execute("CREATE DATABASE of_a_language LOCALE 'C.UTF-8' TEMPLATE template0")
    with pytest.raises(SchemaRefused, match="collation"):
        await Place(StorageSettings(url=cluster.url("of_a_language")), tmp_path).open()


async def test_a_database_of_another_encoding_is_refused(
    cluster: PostgresqlProcess, tmp_path: Path
) -> None:
    async with connected(cluster.url()) as server:
        await server.execute(
            "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
        )
    with pytest.raises(SchemaRefused, match="LATIN1"):
        await Place(StorageSettings(url=cluster.url("latin")), tmp_path).open()


async def test_a_server_that_answers_before_the_disk_is_refused(
    here: Place, cluster: PostgresqlProcess
) -> None:
    name = here.settings.url.partition("@/")[2].partition("?")[0]
    async with connected(cluster.url()) as server:
        await server.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    with pytest.raises(SchemaRefused, match="synchronous_commit"):
        await here.open()


async def test_no_server_at_all_is_said_plainly(tmp_path: Path) -> None:
    nowhere = StorageSettings(url=f"postgresql://posthouse@/posthouse?host={tmp_path}")
    with pytest.raises(Unavailable, match="Can't connect to PostgreSQL"):
        await Place(nowhere, tmp_path).open()


async def test_the_oldest_server_that_the_wheel_has_serves_as_well(tmp_path: Path) -> None:
    server = PostgresqlProcess(fsync=False, version=16)
    try:
        server.start()
        place = Place(StorageSettings(url=server.url()), tmp_path, migrations=TABLES)
        async with place.opened() as database:
            await write(database, 1)
            assert await positions(database) == [1]
    finally:
        server.remove()
