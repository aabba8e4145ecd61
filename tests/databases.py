"""Databases for tests: fresh ones on each engine, whole or split in three by owner."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal

import msgspec

from posthouse.storage import Database, Owner, StorageSettings, open_database
from posthouse.storage.migrations import BUILT_IN
from tests.postgresql_server import PostgresqlProcess, run_on

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one test's data lies. It may be opened again and again, and by two at once."""

    settings: StorageSettings
    data: Path
    split: bool = False

    @property
    def engine(self) -> Literal["sqlite", "postgresql"]:
        return self.settings.engine

    async def open(self, *, exclusive: bool = True, migrations: Traversable = BUILT_IN) -> Database:
        """`exclusive=False` puts the folder's lock aside."""
        return await open_database(
            self.settings, self.data, split=self.split, exclusive=exclusive, migrations=migrations
        )

    @asynccontextmanager
    async def opened(self, *, migrations: Traversable = BUILT_IN) -> AsyncIterator[Database]:
        database = await self.open(migrations=migrations)
        try:
            yield database
        finally:
            await database.close()

    def with_settings(self, **changes: object) -> "Place":
        return Place(msgspec.structs.replace(self.settings, **changes), self.data, self.split)


@dataclass(slots=True)
class PostgresqlPlaces:
    """Gives each test databases of its own on one server, copied from migrated templates."""

    server: PostgresqlProcess
    _templates: set[bool] = field(default_factory=set)

    @asynccontextmanager
    async def place(self, data: Path, *, split: bool) -> AsyncIterator[Place]:
        if split not in self._templates:
            await self._make_template(data, split=split)
        name = f"test_{next(_numbers)}"
        copies = [
            f"CREATE DATABASE {name}{suffix} TEMPLATE {_template(split)}{suffix}"
            for suffix in _suffixes(split)
        ]
        await run_on(self.server.url(), *copies)
        try:
            yield self._named(name, data, split=split)
        finally:
            drops = [
                f"DROP DATABASE IF EXISTS {name}{suffix} WITH (FORCE)"
                for suffix in _suffixes(split)
            ]
            await run_on(self.server.url(), *drops)

    @asynccontextmanager
    async def empty_place(self, data: Path, *, split: bool = False) -> AsyncIterator[Place]:
        """Databases without tables."""
        name = f"test_{next(_numbers)}"
        names = [f"{name}{suffix}" for suffix in _suffixes(split)]
        await run_on(self.server.url(), *(f"CREATE DATABASE {one}" for one in names))
        try:
            yield self._named(name, data, split=split)
        finally:
            drops = (f"DROP DATABASE IF EXISTS {one} WITH (FORCE)" for one in names)
            await run_on(self.server.url(), *drops)

    async def _make_template(self, data: Path, *, split: bool) -> None:
        name = _template(split)
        creations = [f"CREATE DATABASE {name}{suffix}" for suffix in _suffixes(split)]
        await run_on(self.server.url(), *creations)
        async with self._named(name, data, split=split).opened():
            pass
        self._templates.add(split)

    def _named(self, name: str, data: Path, *, split: bool) -> Place:
        settings = StorageSettings(url=self.server.url(name), connections=4)
        return Place(settings, data, split)


def _template(split: bool) -> str:
    return "template_split" if split else "template_whole"


def _suffixes(split: bool) -> list[str]:
    return [f"_{owner.value}" for owner in Owner] if split else [""]
