"""A media service on a folder and a database of its own."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from posthouse.matrix import ServerName
from posthouse.media import Media, MediaSettings
from posthouse.std.clock import Clock, SystemClock, SystemRandomness
from posthouse.storage import Database

MakeMedia = Callable[..., Media]


class TestClock:
    """The time of day as tests put it; what waits, waits in real time.

    It begins at the machine's own time, because files carry that.
    """

    __test__ = False

    def __init__(self) -> None:
        self._ahead_ms = 0

    def advance(self, by: timedelta) -> None:
        self._ahead_ms += by // timedelta(milliseconds=1)

    def now_ms(self) -> int:
        return SystemClock().now_ms() + self._ahead_ms

    def monotonic(self) -> float:
        return SystemClock().monotonic()


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


def media_at(database: Database, folder: Path, settings: MediaSettings, clock: Clock) -> Media:
    return Media(
        server_name=ServerName("localhost"),
        database=database,
        folder=folder,
        settings=settings,
        clock=clock,
        randomness=SystemRandomness(),
    )


@pytest.fixture
async def make_media(
    database: Database, tmp_path: Path, clock: TestClock
) -> AsyncIterator[MakeMedia]:
    """Makes a service with the settings given; a second one opens the same folder again."""
    made: list[Media] = []

    def make(**settings: object) -> Media:
        chosen = MediaSettings(**{"free_bytes_min": 0, **settings})  # type: ignore[arg-type]
        media = media_at(database, tmp_path / "media", chosen, clock)
        made.append(media)
        return media

    yield make
    for media in made:
        media.close()


@pytest.fixture
def media(make_media: MakeMedia) -> Media:
    return make_media()
