"""The embedded engine when the disk, the file or another process is against it."""

import asyncio
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from posthouse.std.faults import Unavailable
from posthouse.storage import Database, InDoubt, Owner, StorageSettings
from tests.databases import Place
from tests.store.conftest import LETTERS, TABLES

ROOM = Owner.ROOM


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return Place(StorageSettings(checkpoint_pages=100), tmp_path / "data", migrations=TABLES)


async def write(database: Database, position: int, size: int = 100) -> None:
    async with database.transaction(of=ROOM) as transaction:
        await transaction.insert_many(LETTERS, [(position, "ada", os.urandom(size))])


async def positions(database: Database) -> list[int]:
    statement = "SELECT position FROM letters ORDER BY position"
    return [position for (position,) in await database.reader(of=ROOM).fetch_all(statement)]


async def test_a_full_disk_refuses_and_heals(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", megabytes=2) as disk:
        here = Place(StorageSettings(checkpoint_pages=100), disk / "data", migrations=TABLES)
        async with here.opened() as database:
            await write(database, 1)
            ballast = disk / "ballast"
            fill(ballast)
            refused = 0
            for position in range(100, 160):
                try:
                    await write(database, position, size=20_000)
                except Unavailable:
                    refused += 1
            assert refused > 0
            assert len(await positions(database)) == 61 - refused
            ballast.unlink()
            await write(database, 1000, size=20_000)
            assert 1000 in await positions(database)
        async with here.opened() as database:
            assert len(await positions(database)) == 62 - refused


async def test_a_write_that_fails_during_commit_is_in_doubt_and_not_there(here: Place) -> None:
    async with here.opened() as database:
        await write(database, 1)
        with largest_file(size_of(here.data / "posthouse.db-wal")):
            for position in (2, 3):
                with pytest.raises(InDoubt):
                    await write(database, position)
        assert await positions(database) == [1]
        await write(database, 4)
        assert await positions(database) == [1, 4]
    async with here.opened() as database:
        assert await positions(database) == [1, 4]


async def test_a_log_that_cannot_be_folded_loses_nothing_acknowledged(here: Place) -> None:
    log = here.data / "posthouse.db-wal"
    async with here.opened() as database:
        acknowledged = []
        with largest_file(1_000_000):  # The log fits in it, the file doesn't for long.
            for position in range(400):
                try:
                    await write(database, position, size=4000)
                except Unavailable:
                    continue
                acknowledged.append(position)
        assert 200 < len(acknowledged) < 400
        assert await positions(database) == acknowledged
        for position in range(1000, 1300):
            await write(database, position, size=4000)
        assert await positions(database) == [*acknowledged, *range(1000, 1300)]
        assert size_of(log) < 300 * 4096
    async with here.opened() as database:
        assert await positions(database) == [*acknowledged, *range(1000, 1300)]


async def test_another_process_that_holds_the_lock_is_waited_for(here: Place) -> None:
    async with here.opened() as database:
        await write(database, 1)
        other = apsw.Connection(str(here.data / "posthouse.db"))
        other.execute("BEGIN IMMEDIATE")
        async with asyncio.TaskGroup() as group:
            group.create_task(write(database, 2))
            for _ in range(10):
                await asyncio.sleep(0.001)
            other.execute("ROLLBACK")
        assert await positions(database) == [1, 2]
        other.close()


async def test_another_process_that_never_lets_go_makes_us_unavailable(here: Place) -> None:
    async with here.with_settings(timeout=timedelta(milliseconds=50)).opened() as database:
        other = apsw.Connection(str(here.data / "posthouse.db"))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            await write(database, 1)
        assert await positions(database) == []
        other.execute("ROLLBACK")
        await write(database, 2)
        other.close()
        assert await positions(database) == [2]


async def test_a_transaction_that_waits_too_long_for_its_turn_is_unavailable(
    here: Place,
) -> None:
    async with here.with_settings(timeout=timedelta(milliseconds=50)).opened() as database:
        async with database.transaction(of=ROOM) as transaction:
            with pytest.raises(Unavailable):
                await write(database, 1)
            await transaction.insert_many(LETTERS, [(2, "ada", b"")])
        assert await positions(database) == [2]


async def test_the_log_stays_short_under_a_writer_that_never_pauses(here: Place) -> None:
    longest = 0
    log = here.data / "posthouse.db-wal"
    async with here.opened() as database:
        for position in range(1000):
            await write(database, position, size=2000)
            longest = max(longest, size_of(log))
    assert 100 * 4096 < longest < 200 * 4096
    assert not log.exists()


async def test_the_log_is_short_again_after_a_long_snapshot(here: Place) -> None:
    log = here.data / "posthouse.db-wal"
    async with here.opened() as database:
        async with database.snapshot(of=ROOM) as snapshot:
            await snapshot.fetch_all("SELECT position FROM letters")
            for position in range(300):
                await write(database, position, size=2000)
            assert size_of(log) > 300 * 4096
        for position in range(300, 900):
            await write(database, position, size=2000)
        assert size_of(log) < 200 * 4096


async def test_a_deleted_letter_is_not_in_the_file(here: Place) -> None:
    secret = b"burn after reading" * 30
    async with here.opened() as database:
        async with database.transaction(of=ROOM) as transaction:
            await transaction.insert_many(LETTERS, [(1, "ada", secret), (2, "ada", b"kept")])
        await delete_letter(database, 1)
    everything = b"".join(file.read_bytes() for file in here.data.iterdir())
    assert b"kept" in everything
    assert b"burn after" not in everything


async def delete_letter(database: Database, position: int) -> None:
    async with database.transaction(of=ROOM) as transaction:
        await transaction.execute("DELETE FROM letters WHERE position = $1", position)


def size_of(file: Path) -> int:
    return file.stat().st_size


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(4096))
        except OSError:
            pass


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[Path]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may grow beyond it: writes fail as on a broken disk (EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
