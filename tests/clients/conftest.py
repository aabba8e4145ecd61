"""A server process for each test, on each engine."""

from collections.abc import Iterator

import pytest

from tests.databases import Place
from tests.server_process import ServerProcess, running_server


@pytest.fixture
def server(place: Place) -> Iterator[ServerProcess]:
    storage_url = place.settings.url if place.engine == "postgresql" else None
    with running_server(place.data, storage_url=storage_url) as process:
        yield process
