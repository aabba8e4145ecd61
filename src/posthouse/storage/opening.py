"""From settings to an open database whose schema is this release's.

Each engine's driver is imported when it is chosen: the other's would be a tenth of a start.
"""

from collections.abc import Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from posthouse.std.faults import Unavailable
from posthouse.storage.folder import FolderLock
from posthouse.storage.interface import Database, Owner
from posthouse.storage.migrations import BUILT_IN, Migration, migrate, read_migrations
from posthouse.storage.settings import StorageSettings

_WHOLE: Final = "posthouse"


async def open_database(
    settings: StorageSettings,
    data: Path,
    *,
    split: bool = False,
    exclusive: bool = True,
    migrations: Traversable = BUILT_IN,
) -> Database:
    """Opens the database, and makes its tables or brings them up to date.

    `split` gives each kind of owner a database of its own: three files, or three databases whose
    names end in `_room`, `_user` and `_global`. `exclusive` takes the lock on the data folder,
    which the embedded engine needs in place of a lease.

    Raises FolderInUse, SchemaRefused, or Unavailable.
    """
    scripts = read_migrations(migrations)
    if settings.engine == "sqlite":
        return await _open_sqlite(settings, data, scripts, split=split, exclusive=exclusive)
    return await _open_postgresql(settings, scripts, split=split)


async def _open_sqlite(
    settings: StorageSettings,
    data: Path,
    scripts: Sequence[Migration],
    *,
    split: bool,
    exclusive: bool,
) -> Database:
    from posthouse.storage.sqlite import DatabaseFile, SqliteDatabase

    lock = _prepare(data, exclusive=exclusive)
    files: dict[Owner, DatabaseFile] = {}
    database = SqliteDatabase(files, lock)
    try:
        for name, owners in _parts(split).items():
            file = DatabaseFile(
                data / f"{name}.db",
                checkpoint_pages=settings.checkpoint_pages,
                timeout_s=settings.timeout.total_seconds(),
            )
            files.update(dict.fromkeys(owners, file))
            await migrate(file.transaction, file.reader, _of(scripts, owners))
    except BaseException:
        await database.close()
        raise
    return database


async def _open_postgresql(
    settings: StorageSettings, scripts: Sequence[Migration], *, split: bool
) -> Database:
    from posthouse.storage.postgresql import PostgresqlDatabase, PostgresqlServer

    servers: dict[Owner, PostgresqlServer] = {}
    database = PostgresqlDatabase(servers)
    try:
        for name, owners in _parts(split).items():
            server = PostgresqlServer(
                _with_suffix(settings.url, "" if name == _WHOLE else f"_{name}"),
                connections=settings.connections,
                timeout_s=settings.timeout.total_seconds(),
            )
            servers.update(dict.fromkeys(owners, server))
            await server.check()
            await migrate(server.transaction, server.reader, _of(scripts, owners))
    except BaseException:
        await database.close()
        raise
    return database


def _prepare(data: Path, *, exclusive: bool) -> FolderLock | None:
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        return FolderLock(data) if exclusive else None
    except OSError as error:
        raise Unavailable(f"Can't use the data folder {data}: {error.strerror}.") from error


def _parts(split: bool) -> dict[str, tuple[Owner, ...]]:
    if split:
        return {owner.value: (owner,) for owner in Owner}
    return {_WHOLE: tuple(Owner)}


def _of(scripts: Sequence[Migration], owners: tuple[Owner, ...]) -> list[Migration]:
    return [script for script in scripts if script.owner in owners]


def _with_suffix(url: str, suffix: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path + suffix))
