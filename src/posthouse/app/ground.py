"""What the server and the operator's commands both stand on: the data, its streams, the accounts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from posthouse.accounts import Accounts, open_accounts
from posthouse.app.config import Settings
from posthouse.app.identity import check_server_name
from posthouse.matrix import ServerName
from posthouse.media import Media
from posthouse.std.clock import Clock, Randomness, SystemClock, SystemRandomness
from posthouse.storage import Database, StorageSettings, open_database
from posthouse.streams import Ownership, ServerFacts, UserStreams, fact, load_facts


@dataclass(frozen=True, slots=True)
class Ground:
    """Open data of the right server, its user streams owned by this process."""

    settings: Settings
    clock: Clock
    random: Randomness
    database: Database
    facts: ServerFacts
    ownership: Ownership
    user_streams: UserStreams
    accounts: Accounts
    media: Media


Opening = Callable[[StorageSettings, Path], Awaitable[Database]]


@asynccontextmanager
async def database_of(
    settings: Settings, opening: Opening = open_database
) -> AsyncIterator[Database]:
    """The database alone, without owning its streams. Tests open one that fails on demand.

    Raises FolderInUse, SchemaRefused or Unavailable where it can't be had, and NameRefused where it
    belongs to another server.
    """
    database = await opening(settings.storage, Path(settings.server.data))
    try:
        check_server_name(await fact(database, "server_name"), settings.server.name)
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def ground(settings: Settings, opening: Opening = open_database) -> AsyncIterator[Ground]:
    """Opens the data and takes over its user streams; at the end, commits what was accepted.

    Raises what `database_of` raises.
    """
    clock, random = SystemClock(), SystemRandomness()
    async with database_of(settings, opening) as database:
        facts = await load_facts(
            database,
            random,
            server_name=settings.server.name,
            room_streams=settings.streams.room_streams,
            user_streams=settings.streams.user_streams,
        )
        ownership = Ownership()
        user_streams = UserStreams(database, facts.users, clock, ownership)
        await user_streams.take_over()
        async with asyncio.TaskGroup() as group:
            group.create_task(user_streams.run())
            accounts = await open_accounts(
                database,
                user_streams,
                settings.accounts,
                server=ServerName(facts.server_name),
                registration=settings.registration_mode,
                limits=settings.limits,
                clock=clock,
                random=random,
            )
            media = open_media(settings, database, clock, random)
            try:
                yield Ground(
                    settings,
                    clock,
                    random,
                    database,
                    facts,
                    ownership,
                    user_streams,
                    accounts,
                    media,
                )
            finally:
                media.close()
                accounts.close()
                user_streams.close()


def open_media(settings: Settings, database: Database, clock: Clock, random: Randomness) -> Media:
    """The uploads, in their folder or in the data folder's `media`."""
    return Media(
        server_name=ServerName(settings.server.name),
        database=database,
        folder=Path(settings.media.folder or Path(settings.server.data) / "media"),
        settings=settings.media,
        clock=clock,
        randomness=random,
    )
