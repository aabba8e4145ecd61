"""An office on each engine; every table of each kind of owner in a database of its own."""

from collections.abc import AsyncIterator

import pytest

from posthouse.storage import Database
from tests.devices.office import Office, open_office


@pytest.fixture
async def office(every_database: Database) -> AsyncIterator[Office]:
    async with open_office(every_database) as opened:
        yield opened
