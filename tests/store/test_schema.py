"""The schema: migrations run once, both engines end alike, and who may not open doesn't."""

import asyncio
import os
import shutil
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from posthouse.std.faults import Unavailable
from posthouse.storage import (
    Database,
    FolderInUse,
    Owner,
    SchemaRefused,
    StatementRefused,
    StorageSettings,
    describe_schema,
    schema_fingerprint,
)
from posthouse.storage.dialect import split_script, sqlite_script
from posthouse.storage.migrations import RELEASE, Definer, migrate, read_migrations
from tests.databases import Place, PostgresqlPlaces
from tests.postgresql_server import connected
from tests.store.conftest import TABLES


async def test_both_engines_whole_and_split_hold_the_same_tables(
    every_place: Place, tmp_path: Path
) -> None:
    async with every_place.opened() as database:
        assert await describe_schema(database) == await reference(tmp_path, every_place)
        assert any(
            "column user_entries.position" in line for line in await describe_schema(database)
        )


async def test_the_words_for_a_schema_say_what_both_engines_have(letters: Database) -> None:
    assert await describe_schema(letters) == [
        "column drawers.letters integer required",
        "column drawers.name text required default ''",
        "column drawers.owner text required",
        "column letters.body bytes required",
        "column letters.position integer required",
        "column letters.sender text required",
        "column letters.stamped integer required default 0",
        "column letters.txn text",
        "column stamps.name text required",
        "column stamps.sold integer required",
        "index letters.letters_by_txn unique (sender, txn)",
        "index letters.letters_of_sender (sender, position desc) partial",
        "primary key of drawers unique (owner, name)",
        "primary key of letters unique (position)",
        "primary key of stamps unique (name)",
        "unique key of drawers unique (letters, owner)",
    ]


async def test_a_changed_table_changes_the_fingerprint(letter_place: Place) -> None:
    async with letter_place.opened() as database:
        before = await schema_fingerprint(database)
        assert await schema_fingerprint(database) == before
        await define(database, "CREATE INDEX letters_by_sender ON letters (sender)")
        assert await schema_fingerprint(database) != before


async def test_opening_again_runs_nothing_and_keeps_rows(letter_place: Place) -> None:
    async with letter_place.opened() as database:
        await sell_stamps(database)
    async with letter_place.opened() as database:
        stamps = await database.reader(of=Owner.GLOBAL).fetch_all("SELECT name, sold FROM stamps")
    assert stamps == [("blue", 3)]


async def test_a_new_file_runs_on_a_database_with_rows(letter_place: Place, tmp_path: Path) -> None:
    async with letter_place.opened() as database:
        await sell_stamps(database)
    later = with_another(
        letter_place, tmp_path, "0002_global_prices.sql",
        "ALTER TABLE stamps ADD COLUMN price BIGINT NOT NULL DEFAULT 80;"
        "CREATE TABLE prices (name TEXT PRIMARY KEY); INSERT INTO prices VALUES ('a;b');",
    )  # fmt: skip
    async with later.opened() as database:
        reader = database.reader(of=Owner.GLOBAL)
        assert await reader.fetch_all("SELECT name, price FROM stamps") == [("blue", 80)]
        assert await reader.fetch_all("SELECT name FROM prices") == [("a;b",)]


async def test_a_file_that_fails_leaves_nothing(letter_place: Place, tmp_path: Path) -> None:
    broken = with_another(
        letter_place, tmp_path, "0002_global_prices.sql",
        "CREATE TABLE prices (name TEXT PRIMARY KEY); INSERT INTO nowhere VALUES (1);",
    )  # fmt: skip
    with pytest.raises(StatementRefused):
        await broken.open()
    async with letter_place.opened() as database:
        with pytest.raises(StatementRefused):
            await database.reader(of=Owner.GLOBAL).fetch_all("SELECT name FROM prices")


async def test_a_file_that_changed_after_it_ran_is_refused(
    letter_place: Place, tmp_path: Path
) -> None:
    async with letter_place.opened():
        pass
    changed = with_another(
        letter_place, tmp_path, "0001_global_stamps.sql", "CREATE TABLE stamps (name TEXT);"
    )
    with pytest.raises(SchemaRefused, match="0001_global_stamps"):
        await changed.open()
    async with letter_place.opened():
        pass  # The refusal let go of the folder.


async def test_an_older_release_refuses_what_a_newer_one_wrote(letter_place: Place) -> None:
    async with letter_place.opened() as database:
        await use_release(database, "2.0.0", oldest="1.4.0")
        with pytest.raises(SchemaRefused) as refusal:
            await use_release(database, "1.3.9", oldest="1.0.0")
        for version in ("2.0.0", "1.4.0", "1.3.9"):
            assert version in str(refusal.value)
    with pytest.raises(SchemaRefused, match=RELEASE):
        await letter_place.open()


async def test_a_release_that_may_open_a_newer_schema_leaves_its_facts_alone(
    letter_place: Place,
) -> None:
    async with letter_place.opened() as database:
        await use_release(database, "2.0.0", oldest="1.4.0")
        await use_release(database, "1.10.0", oldest="1.0.0")
        facts = await database.reader(of=Owner.ROOM).fetch_all(
            "SELECT key, value FROM database_facts ORDER BY key"
        )
    assert facts == [("oldest_release", "1.4.0"), ("written_by", "2.0.0")]


async def test_a_database_of_someone_else_is_refused(
    tmp_path: Path, postgresql: PostgresqlPlaces
) -> None:
    async with postgresql.bare_place(tmp_path, migrations=TABLES) as place:
        async with connected(place.settings.url) as connection:
            await connection.execute("CREATE TABLE accounts (id bigint)")
        with pytest.raises(SchemaRefused, match="accounts"):
            await place.open()


async def test_workers_that_start_at_once_on_an_empty_database_make_it_once(
    tmp_path: Path, postgresql: PostgresqlPlaces
) -> None:
    async with postgresql.bare_place(tmp_path, migrations=TABLES) as place:
        databases = await asyncio.gather(*(place.open() for _ in range(4)))
        for database in databases:
            await database.close()


async def test_two_on_an_empty_folder_make_it_once(tmp_path: Path) -> None:
    place = Place(StorageSettings(), tmp_path / "data", migrations=TABLES)
    databases = await asyncio.gather(*(place.open(exclusive=False) for _ in range(3)))
    for database in databases:
        await database.close()


async def test_a_second_start_on_a_folder_names_the_first(tmp_path: Path) -> None:
    place = Place(StorageSettings(), tmp_path / "data", migrations=TABLES)
    async with place.opened():
        with pytest.raises(FolderInUse, match=f"process {os.getpid()}"):
            await place.open()
    async with place.opened():
        pass


async def test_a_folder_that_cannot_be_made_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match=r"data folder .*file/data"):
        await Place(StorageSettings(), tmp_path / "file" / "data").open()


async def test_a_file_that_is_no_database_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "posthouse.db").write_bytes(b"Dear Ada, " * 1000)
    with pytest.raises(Unavailable, match=r"posthouse\.db"):
        await Place(StorageSettings(), tmp_path).open()


def test_a_migration_becomes_strict_and_keeps_its_words() -> None:
    script = """
        -- BIGINT; stays
        CREATE TABLE a (id BIGINT PRIMARY KEY, b BYTEA, c TEXT DEFAULT ';BYTEA') /* without rowid */;
        CREATE TABLE d (e SMALLINT);
        CREATE INDEX d_by_e ON d (e);
    """
    first, second, third = split_script(script)
    assert sqlite_script(first).strip() == (
        "-- BIGINT; stays\n        CREATE TABLE a (id INTEGER PRIMARY KEY, b BLOB, "
        "c TEXT DEFAULT ';BYTEA') /* without rowid */ WITHOUT ROWID, STRICT;"
    )
    assert sqlite_script(second).strip() == "CREATE TABLE d (e INTEGER) STRICT;"
    assert sqlite_script(third).strip() == "CREATE INDEX d_by_e ON d (e);"


def test_a_migration_of_another_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0001_nobody_letters.sql").write_text("CREATE TABLE letters (a TEXT);")
    with pytest.raises(ValueError, match="0001_nobody_letters"):
        read_migrations(tmp_path)


async def sell_stamps(database: Database) -> None:
    async with database.transaction(of=Owner.GLOBAL) as transaction:
        await transaction.execute("INSERT INTO stamps (name, sold) VALUES ('blue', 3)")


async def use_release(database: Database, release: str, *, oldest: str) -> None:
    """What another release does to the database that holds the rooms."""

    def begin() -> AbstractAsyncContextManager[Definer]:
        return cast("AbstractAsyncContextManager[Definer]", database.transaction(of=Owner.ROOM))

    reader = database.reader(of=Owner.ROOM)
    await migrate(begin, reader, [], release=release, oldest_release=oldest)


async def define(database: Database, script: str) -> None:
    async with database.transaction(of=Owner.ROOM) as transaction:
        await cast("Definer", transaction).run_script(f"{script};")


async def reference(folder: Path, place: Place) -> list[str]:
    """The schema that the embedded engine makes of the same files."""
    other = Place(StorageSettings(), folder / "reference", migrations=place.migrations)
    async with other.opened() as database:
        return await describe_schema(database)


def with_another(place: Place, folder: Path, name: str, script: str) -> Place:
    later = folder / "later"
    shutil.copytree(TABLES, later)
    (later / name).write_text(script)
    return replace(place, migrations=later)
