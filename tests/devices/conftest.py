"""An office on each engine."""

from collections.abc import AsyncIterator

import pytest

from posthouse.storage import Database
from tests.devices.office import Office, open_office


@pytest.fixture
def _kind(request: pytest.FixtureRequest) -> str:
    """Split on SQLite, so that a statement across owners fails; three databases cost more there
    than they tell on PostgreSQL.
    """
    return "sqlite-split" if request.param == "sqlite" else str(request.param)


@pytest.fixture
async def office(database: Database) -> AsyncIterator[Office]:
    async with open_office(database) as opened:
        yield opened
