"""A media service on a folder and a database of its own."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from posthouse.matrix import ServerName
from posthouse.media import Media, MediaSettings
from posthouse.std.clock import SystemClock, SystemRandomness
from posthouse.storage import Database

MakeMedia = Callable[..., Media]


@pytest.fixture
async def make_media(database: Database, tmp_path: Path) -> AsyncIterator[MakeMedia]:
    """Makes a service with the settings given; a second one opens the same folder again."""
    made: list[Media] = []

    def make(**settings: object) -> Media:
        media = Media(
            server_name=ServerName("localhost"),
            database=database,
            folder=tmp_path / "media",
            settings=MediaSettings(**{"free_bytes_min": 0, **settings}),  # type: ignore[arg-type]
            clock=SystemClock(),
            randomness=SystemRandomness(),
        )
        made.append(media)
        return media

    yield make
    for media in made:
        media.close()


@pytest.fixture
def media(make_media: MakeMedia) -> Media:
    return make_media()
