"""Databases for tests: fresh ones on each engine, whole or split in three by owner."""

import itertools
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit, urlunsplit

import msgspec

from posthouse.storage import Database, Owner, StorageSettings, open_database
from posthouse.storage.migrations import BUILT_IN
from posthouse.storage.sqlite import SqliteDatabase
from tests.postgresql_server import PostgresqlProcess, connected

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one test's data lies. It may be opened again and again, and by two at once."""

    settings: StorageSettings
    data: Path
    split: bool = False
    migrations: Traversable = BUILT_IN
    exclusive: bool = True
    """Whether the folder's lock is taken: two owners at once are for tests only."""

    @property
    def engine(self) -> Literal["sqlite", "postgresql"]:
        return self.settings.engine

    async def open(self, *, exclusive: bool | None = None) -> Database:
        """`exclusive=False` puts the folder's lock aside."""
        return await open_database(
            self.settings,
            self.data,
            split=self.split,
            exclusive=self.exclusive if exclusive is None else exclusive,
            migrations=self.migrations,
        )

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Database]:
        database = await self.open()
        try:
            yield database
        finally:
            await database.close()

    def shared(self) -> "Place":
        """The same data, to be opened by two at once."""
        return replace(self, exclusive=False)

    def with_settings(self, **changes: Any) -> "Place":
        return replace(self, settings=msgspec.structs.replace(self.settings, **changes))


@dataclass(slots=True)
class PostgresqlPlaces:
    """Gives each test databases of its own on one server.

    A new database takes 150 ms, emptying one 5: what a test gives back with the tables that it
    got is emptied and given to another; what differs is dropped.
    """

    server: PostgresqlProcess
    _templates: dict[tuple[bool, str], str] = field(default_factory=dict)
    _schemas: dict[str, str] = field(default_factory=dict)
    _spare: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @asynccontextmanager
    async def place(
        self, data: Path, *, split: bool = False, migrations: Traversable = BUILT_IN
    ) -> AsyncIterator[Place]:
        """Databases with the tables of `migrations`, and nothing in them."""
        template = self._templates.get((split, str(migrations)))
        if template is None:
            template = await self._make_template(data, split=split, migrations=migrations)
        spare = self._spare[template]
        name = spare.pop() if spare else await self._copy(template, split=split)
        try:
            yield self._named(name, data, split, migrations)
        finally:
            if await self._empty(name, template, split=split):
                spare.append(name)
            else:
                await self._drop(name, split=split)

    @asynccontextmanager
    async def bare_place(
        self, data: Path, *, split: bool = False, migrations: Traversable = BUILT_IN
    ) -> AsyncIterator[Place]:
        """Databases without tables."""
        name = await self._copy("template0", split=split)
        try:
            yield self._named(name, data, split, migrations)
        finally:
            await self._drop(name, split=split)

    async def _make_template(self, data: Path, *, split: bool, migrations: Traversable) -> str:
        name = await self._copy("template0", split=split)
        async with self._named(name, data, split, migrations).opened():
            pass
        self._templates[split, str(migrations)] = name
        return name

    async def _copy(self, template: str, *, split: bool) -> str:
        name = f"test_{next(_numbers)}"
        async with connected(self.server.url()) as server:
            for suffix in _suffixes(split):
                original = template if template == "template0" else template + suffix
                await server.execute(f"CREATE DATABASE {name}{suffix} TEMPLATE {original}")
        return name

    async def _drop(self, name: str, *, split: bool) -> None:
        async with connected(self.server.url()) as server:
            for suffix in _suffixes(split):
                await server.execute(f"DROP DATABASE {name}{suffix} WITH (FORCE)")

    async def _empty(self, name: str, template: str, *, split: bool) -> bool:
        """Deletes every row; False where the schema isn't the template's any more."""
        for suffix in _suffixes(split):
            wanted = self._schemas.get(template + suffix)
            if wanted is None:
                async with connected(self.server.url(template + suffix)) as original:
                    wanted = str(await original.fetch(_COLUMNS) + await original.fetch(_FACTS))
                    self._schemas[template + suffix] = wanted
            async with connected(self.server.url(name + suffix)) as copy:
                await copy.execute(_END_OTHERS)
                columns = await copy.fetch(_COLUMNS)
                if str(columns + await copy.fetch(_FACTS)) != wanted:
                    return False
                tables = {table for table, _ in columns} - {"migrations", "database_facts"}
                await copy.execute("".join(f"DELETE FROM {table};" for table in tables))
        return True

    def _named(self, name: str, data: Path, split: bool, migrations: Traversable) -> Place:
        settings = StorageSettings(url=self.server.url(name), connections=4)
        return Place(settings, data, split, migrations)


@asynccontextmanager
async def read_only(place: Place, database: Database) -> AsyncIterator[None]:
    """An open database that takes no writes for a while, as after a disk error or a failover."""
    if isinstance(database, SqliteDatabase):
        for file in set(database._files.values()):
            assert file._writer is not None
            file._writer.execute("PRAGMA query_only = ON")
        yield
        for file in set(database._files.values()):
            assert file._writer is not None
            file._writer.execute("PRAGMA query_only = OFF")
        return
    for setting in ("on", "off"):
        for suffix in _suffixes(place.split):
            parts = urlsplit(place.settings.url)
            url = urlunsplit(parts._replace(path=parts.path + suffix))
            async with connected(url) as server:
                await server.execute("SET default_transaction_read_only = off")
                name = (parts.path + suffix).removeprefix("/")
                await server.execute(
                    f"ALTER DATABASE {name} SET default_transaction_read_only = {setting}"
                )
                await server.execute(_END_OTHERS)
        if setting == "on":
            yield


def _suffixes(split: bool) -> list[str]:
    return [f"_{owner.value}" for owner in Owner] if split else [""]


_COLUMNS: Final = """
    SELECT r.relname, a.attname FROM pg_class AS r JOIN pg_attribute AS a ON a.attrelid = r.oid
    WHERE r.relnamespace = 'public'::regnamespace AND r.relkind = 'r' AND a.attnum > 0
    ORDER BY 1, 2
"""

_FACTS: Final = "SELECT key, value FROM database_facts ORDER BY 1"

_END_OTHERS: Final = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
