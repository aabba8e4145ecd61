"""A server process for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server_process import ServerProcess, running_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with running_server(tmp_path / "data") as process:
        yield process
