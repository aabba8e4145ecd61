"""Numbered files that make a database what this release expects.

(1) A file runs once in each database that holds its owner's tables, in a transaction of its own,
    and what ran is recorded with a checksum.
(2) Files expand: the release before this one runs on what they leave. `OLDEST_RELEASE` is the
    oldest that does; an older one refuses to open the database.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, Protocol

import posthouse
from posthouse.storage.interface import (
    Dialects,
    Owner,
    Reader,
    SchemaRefused,
    Statement,
    Transaction,
)

RELEASE: Final = posthouse.__version__
OLDEST_RELEASE: Final = "0.1.0"
"""The oldest release that may open what this one's migrations leave."""

BUILT_IN: Final[Traversable] = files("posthouse.storage") / "migrations"

_FILE: Final = re.compile(r"(\d{4})_(room|user|global)_([a-z0-9_]+)\.sql")
_OWN_TABLES: Final = frozenset({"migrations", "database_facts"})


class Definer(Transaction, Protocol):
    """A transaction that may change the schema."""

    async def run_script(self, script: Statement) -> None: ...


Begin = Callable[[], AbstractAsyncContextManager[Definer]]


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: `0004_room_events.sql` defines tables of room streams."""

    name: str
    owner: Owner
    script: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.script.encode()).hexdigest()


def read_migrations(folder: Traversable) -> list[Migration]:
    """The files of a folder, in the order of their names. A file of another name is refused."""
    migrations = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.startswith((".", "__")):
            continue
        match = _FILE.fullmatch(entry.name)
        if match is None:
            raise ValueError(f"{entry.name}: a migration is named NNNN_owner_what.sql")
        script = entry.read_text(encoding="utf-8")
        migrations.append(Migration(entry.name.removesuffix(".sql"), Owner(match[2]), script))
    return migrations


async def migrate(
    begin: Begin,
    reader: Reader,
    migrations: Sequence[Migration],
    *,
    release: str = RELEASE,
    oldest_release: str = OLDEST_RELEASE,
) -> None:
    """Brings one database to this release. Raises SchemaRefused when it isn't ours to open."""
    if not await _ready(reader):
        async with begin() as transaction:
            await transaction.run_script(_TAKE_SCHEMA_LOCK)
            if not await _ready(transaction):
                await transaction.run_script(_BOOKKEEPING)
    await _refuse_newer(reader, release)
    applied = await _applied(reader)
    for migration in migrations:
        checksum = applied.get(migration.name)
        if checksum is None:
            await _apply(begin, migration, release)
        elif checksum != migration.checksum:
            raise SchemaRefused(
                f"Migration {migration.name} ran here with another text than release {release} "
                "has: this database was made by a different build."
            )
    await _record(begin, reader, release, oldest_release)


async def _ready(reader: Reader) -> bool:
    tables = {name for (name,) in await reader.fetch_all(_TABLES)}
    if tables >= _OWN_TABLES:
        return True
    if tables:
        raise SchemaRefused(
            "The database isn't empty and wasn't made by Posthouse "
            f"(it has a table {min(tables)}). Give it an empty one."
        )
    return False


async def _applied(reader: Reader) -> dict[str, str]:
    return await _pairs(reader, _APPLIED)


async def _apply(begin: Begin, migration: Migration, release: str) -> None:
    async with begin() as transaction:
        await transaction.run_script(_TAKE_SCHEMA_LOCK)
        # Another worker may have run it while this one waited for the lock.
        if migration.name not in await _applied(transaction):
            await transaction.run_script(migration.script)
            await transaction.execute(_RECORD, migration.name, migration.checksum, release)


async def _refuse_newer(reader: Reader, release: str) -> None:
    facts = await _pairs(reader, _FACTS)
    oldest = facts.get("oldest_release")
    if oldest is not None and _ordered(release) < _ordered(oldest):
        raise SchemaRefused(
            f"This database was written by Posthouse {facts.get('written_by')} and needs release "
            f"{oldest} or newer; this is {release}."
        )


async def _record(begin: Begin, reader: Reader, release: str, oldest_release: str) -> None:
    facts = await _pairs(reader, _FACTS)
    written_by = facts.get("written_by")
    if written_by is not None and _ordered(written_by) >= _ordered(release):
        return  # Also when this is the older release, on a database that it may open.
    async with begin() as transaction:
        await transaction.execute(_SET_FACT, "written_by", release)
        await transaction.execute(_SET_FACT, "oldest_release", oldest_release)


async def _pairs(reader: Reader, statement: str) -> dict[str, str]:
    pairs: dict[str, str] = dict(await reader.fetch_all(statement))
    return pairs


def _ordered(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", release)[:3])


# BEGIN IMMEDIATE is this lock on SQLite.
_TAKE_SCHEMA_LOCK: Final = Dialects(
    sqlite="SELECT 1",
    postgresql="SELECT pg_advisory_xact_lock(7019267256116113253)",
)

_TABLES: Final = Dialects(
    sqlite="SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    postgresql="SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()",
)

_BOOKKEEPING: Final = """
    CREATE TABLE migrations (name TEXT PRIMARY KEY, checksum TEXT NOT NULL, release TEXT NOT NULL);
    CREATE TABLE database_facts (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

_APPLIED: Final = "SELECT name, checksum FROM migrations"

_RECORD: Final = "INSERT INTO migrations (name, checksum, release) VALUES ($1, $2, $3)"

_FACTS: Final = "SELECT key, value FROM database_facts"

_SET_FACT: Final = """
    INSERT INTO database_facts (key, value) VALUES ($1, $2)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""
