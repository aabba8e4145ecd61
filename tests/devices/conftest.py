"""An office on each engine, with the tables of each kind of owner in a database of their own."""

from collections.abc import AsyncIterator

import pytest

from posthouse.storage import Database
from tests.devices.office import Office, open_office


@pytest.fixture
def _kind(request: pytest.FixtureRequest) -> str:
    """Split throughout: a statement across owners fails at once, and nothing else differs."""
    return f"{request.param}-split"


@pytest.fixture
async def office(database: Database) -> AsyncIterator[Office]:
    async with open_office(database) as opened:
        yield opened
