"""A process that uploads until it is killed, and says what was acknowledged.

    python -m tests.media.uploads_forever DATA STORAGE_URL

Each line that begins with `kept` is a media id and the SHA-256 of what it stands for, written after the answer.
"""

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from posthouse.matrix import ServerName, UserId
from posthouse.media import Media, MediaSettings
from posthouse.std.clock import SystemClock, SystemRandomness
from posthouse.storage import StorageSettings, open_database

ADA = UserId("@ada:localhost")


async def main(data: Path, storage_url: str) -> None:
    database = await open_database(StorageSettings(url=storage_url, connections=4), data)
    media = Media(
        server_name=ServerName("localhost"),
        database=database,
        folder=data / "media",
        settings=MediaSettings(free_bytes_min=0),
        clock=SystemClock(),
        randomness=SystemRandomness(),
    )

    async def uploads() -> None:
        while True:
            content = os.urandom(200_000)
            uri = await media.upload(ADA, _halves(content), content_type=None, file_name=None)
            print("kept", uri.rpartition("/")[2], hashlib.sha256(content).hexdigest(), flush=True)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(uploads())


async def _halves(content: bytes) -> AsyncIterator[bytes]:
    yield content[:100_000]
    yield content[100_000:]


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
