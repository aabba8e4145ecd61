"""User streams on a database of their own, with a table for works to write into."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from posthouse.matrix import UserId
from posthouse.std.clock import SystemClock, SystemRandomness
from posthouse.storage import Database
from posthouse.streams import UserStreams, load_facts
from tests.faults.database import MetDatabase

ADA = UserId("@ada:localhost")


@pytest.fixture
def met(database: Database) -> MetDatabase:
    return MetDatabase(database)


@pytest.fixture
async def streams(met: MetDatabase) -> AsyncIterator[UserStreams]:
    """One user stream, so that all works meet in its writer."""
    facts = await load_facts(
        met, SystemRandomness(), server_name="localhost", room_streams=1, user_streams=1
    )
    made = UserStreams(met, facts.users, SystemClock())
    await made.take_over()
    async with asyncio.TaskGroup() as group:
        group.create_task(made.run())
        yield made
        made.close()
