"""A crash, a broken disk, a lost answer from the database: what was acknowledged stays."""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest

from posthouse.matrix import ServerName
from posthouse.media import Media, MediaSettings
from posthouse.std.clock import SystemClock, SystemRandomness
from posthouse.std.faults import Unavailable
from posthouse.storage import Database, InDoubt, Owner, Reader, Transaction
from tests.databases import Place
from tests.media.test_uploads import ADA, files_in, upload
from tests.server_process import environment


async def test_a_crash_in_the_middle_of_uploads_loses_nothing_acknowledged(place: Place) -> None:
    """`kill -9` while four uploads run; then the folder is swept and everything checked."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.media.uploads_forever",
        str(place.data),
        place.settings.url,
        stdout=asyncio.subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    acknowledged: dict[str, str] = {}
    async for line in process.stdout:
        match line.decode().split():
            case ["kept", media_id, digest] if line.endswith(b"\n"):
                acknowledged[media_id] = digest
        if len(acknowledged) == 20 and process.returncode is None:
            process.kill()
    await process.wait()
    assert len(acknowledged) >= 20

    async with place.opened() as database:
        media = _media(database, place.data / "media")
        await media.sweep()
        assert [p async for p in media.verify(hash_every=1)] == []
        assert files_in(place.data / "media" / "incoming") == []
        for media_id, digest in acknowledged.items():
            found = await media.open("localhost", media_id)
            assert hashlib.sha256(found.path.read_bytes()).hexdigest() == digest
        media.close()


async def test_a_folder_that_cannot_be_written_is_a_fault(media: Media, tmp_path: Path) -> None:
    """Nothing is kept or charged, and it goes on when the folder is whole again."""
    digest = hashlib.sha256(b"a picture").hexdigest()
    shard = tmp_path / "media" / "content" / digest[:2]
    shard.rmdir()

    with pytest.raises(Unavailable):
        await upload(media, ADA, b"a picture")
    assert files_in(tmp_path / "media") == []
    assert await media.usage_of(ADA) == 0

    shard.mkdir()
    assert await media.open("localhost", await upload(media, ADA, b"a picture"))


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_commit_whose_answer_is_lost_leaves_no_row_without_its_file(
    database: Database, tmp_path: Path, when: Literal["before", "after"]
) -> None:
    """The client is told to try again, whichever way the commit went; then all is consistent."""
    broken = LosesAnswers(database, when)
    media = _media(broken, tmp_path / "media")

    with pytest.raises(InDoubt):
        await upload(media, ADA, b"a picture")
    committed = when == "after"
    assert await media.usage_of(ADA) == (4096 if committed else 0)
    assert len(files_in(tmp_path / "media")) == 1

    broken.when = None
    assert await media.sweep() == (0 if committed else 1)
    assert await media.open("localhost", await upload(media, ADA, b"a picture"))
    assert [p async for p in media.verify(hash_every=1)] == []
    media.close()


class LosesAnswers:
    """A database whose connection breaks at each commit, before it happened or after."""

    def __init__(self, database: Database, when: Literal["before", "after"] | None) -> None:
        self._database = database
        self.when = when
        self.engine = database.engine

    @property
    def statements(self) -> int:
        return self._database.statements

    @asynccontextmanager
    async def transaction(self, *, of: Owner) -> AsyncIterator[Transaction]:
        async with self._database.transaction(of=of) as tx:
            yield tx
            if self.when == "before":
                raise InDoubt("the connection broke")
        if self.when == "after":
            raise InDoubt("the connection broke")

    def reader(self, *, of: Owner) -> Reader:
        return self._database.reader(of=of)

    @asynccontextmanager
    async def snapshot(self, *, of: Owner) -> AsyncIterator[Reader]:
        async with self._database.snapshot(of=of) as reader:
            yield reader

    async def close(self) -> None:
        await self._database.close()


def _media(database: Database, folder: Path) -> Media:
    return Media(
        server_name=ServerName("localhost"),
        database=database,
        folder=folder,
        settings=MediaSettings(free_bytes_min=0, orphan_age_min=timedelta(0)),
        clock=SystemClock(),
        randomness=SystemRandomness(),
    )
