"""The verbs of media: upload, open, sweep, verify."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog
from msgspec import Struct

from posthouse.matrix import LimitExceeded, MxcUri, ServerName, UserId
from posthouse.media import rules, store
from posthouse.media.errors import AllowanceUsedUp, NoSuchMedia, UploadTooLarge
from posthouse.media.files import SHARDS, MediaFolder
from posthouse.media.model import MEDIA_ID, Content, MediaId, StoredMedia
from posthouse.media.settings import MediaSettings
from posthouse.std.clock import Clock, Randomness
from posthouse.std.faults import Unavailable
from posthouse.storage import Database, Owner

_MEDIA_ID_BYTES: Final = 24
"""192 bits: an mxc URI is all that one signed-in person needs to read a file."""

_log = structlog.get_logger(__name__)


class OpenMedia(Struct, frozen=True):
    """A stored thing and where its bytes lie."""

    media: StoredMedia
    path: Path


class Media:
    """What people upload and fetch.

    The state here is of uploads under way in this process, owned by the event loop:
    `_under_way` counts files and bytes per person, `_held` knows the contents that are on disk, or
    about to be, while their row isn't committed yet.
    """

    def __init__(
        self,
        *,
        server_name: ServerName,
        database: Database,
        folder: Path,
        settings: MediaSettings,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        self._server_name = server_name
        self._database = database
        self._settings = settings
        self._clock = clock
        self._randomness = randomness
        self._files = MediaFolder(folder, free_bytes_min=settings.free_bytes_min)
        self._under_way = _UnderWay()
        self._held = _Held()

    @property
    def upload_bytes_max(self) -> int:
        return self._settings.upload_bytes_max

    async def upload(
        self,
        user_id: UserId,
        body: AsyncIterable[bytes],
        *,
        content_type: str | None,
        file_name: str | None,
        length: int | None = None,
    ) -> MxcUri:
        """Keeps what `body` yields, and answers with its URI once file and row are durable.

        `length` is what the client declared, in bytes, so that too much is refused before it is
        read. Raises UploadTooLarge, AllowanceUsedUp, LimitExceeded; Unavailable as the disk and
        the database do. Of what was refused nothing is kept; what failed may be retried (1).
        """
        charged_before = await self.usage_of(user_id)
        with self._under_way.one_more(user_id, self._settings.person_uploads_max) as upload:
            upload.grow_to(length or 0)
            self._judge(upload, charged_before)
            async with self._files.incoming() as file:
                async for data in body:
                    upload.grow_to(file.size + len(data))
                    self._judge(upload, charged_before)
                    await file.write(data)
                content = await file.finish()
                with self._held.hold(content.hash):
                    await file.keep(content)
                    return await self._add(user_id, content, content_type, file_name)

    async def open(self, server_name: str, media_id: str) -> OpenMedia:
        """What an mxc URI stands for, for a person who is signed in.

        Raises NoSuchMedia for what isn't there, what is quarantined and any other server's: no
        request leaves for another server. Raises Unavailable where the file is lost.
        """
        if server_name != self._server_name or not MEDIA_ID.fullmatch(media_id):
            raise NoSuchMedia
        media = await store.find(self._database.reader(of=Owner.GLOBAL), MediaId(media_id))
        if media is None or not media.readable:
            raise NoSuchMedia
        if self._files.size_of(media.content.hash) != media.content.size:
            _log.error("media.file_lost", media_id=media_id, hash=media.content.hash.hex())
            raise Unavailable("a media file is missing or cut short")
        return OpenMedia(media=media, path=self._files.path_of(media.content.hash))

    async def usage_of(self, user_id: UserId) -> int:
        """What a person's uploads take of their allowance, in bytes."""
        return await store.usage_of(self._database.reader(of=Owner.GLOBAL), user_id)

    async def run(self) -> None:
        """Sweeps at start and then every `sweep_every`, for as long as the server runs."""
        while True:
            try:
                await self.sweep()
            except Unavailable as fault:
                _log.warning("media.sweep_failed", reason=str(fault))
            await asyncio.sleep(self._settings.sweep_every.total_seconds())

    async def sweep(self) -> int:
        """Removes what a crash left behind, and files that no upload needs any more.

        Returns how many files it removed.
        """
        removed = await self._files.remove_abandoned()
        async for content_hash in self._orphans():
            # No await between the question and the deed: an upload that comes after it puts the
            # file in place again.
            self._files.remove(content_hash)
            removed += 1
        if removed:
            _log.info("media.swept", files=removed)
        return removed

    async def verify(self, *, hash_every: int = 100) -> AsyncIterator[str]:
        """Says what is wrong, a sentence each; nothing when all is well.

        Every file's length is compared with its row; the bytes of one content in `hash_every` are
        hashed. True for a server that is running, too.
        """
        async for sentence in self._verify_contents(hash_every):
            yield sentence
        async for content_hash in self._orphans():
            yield f"media: the file {content_hash.hex()} belongs to no upload"
        async with self._database.snapshot(of=Owner.GLOBAL) as reader:
            for user_id, charged, taken in await store.usage_mismatches(reader):
                yield f"media_usage: {user_id} is charged {charged} bytes for {taken}"
            for user_id in await store.uncharged(reader):
                yield f"media_usage: {user_id} has uploads and is charged nothing"

    def close(self) -> None:
        """Waits for the disk; no upload may be under way."""
        self._files.close()

    def _judge(self, upload: "_Upload", charged_before: int) -> None:
        """Refuses as soon as it's clear, so that nobody fills the disk with what can't be kept.

        The row's own transaction has the last word on the allowance (3).
        """
        if upload.size > self._settings.upload_bytes_max:
            raise UploadTooLarge(self._settings.upload_bytes_max)
        if charged_before + upload.bytes_of_person > self._settings.person_bytes_max:
            raise AllowanceUsedUp(self._settings.person_bytes_max)

    async def _add(
        self, user_id: UserId, content: Content, content_type: str | None, file_name: str | None
    ) -> MxcUri:
        media = StoredMedia(
            media_id=MediaId(self._randomness.token_urlsafe(_MEDIA_ID_BYTES)),
            content=content,
            charged_bytes=rules.charge_of(content.size),
            content_type=rules.safe_content_type(content_type),
            file_name=rules.safe_file_name(file_name),
            user_id=user_id,
            created_ms=self._clock.now_ms(),
        )
        quota = self._settings.person_bytes_max
        async with self._database.transaction(of=Owner.GLOBAL) as tx:
            if not await store.charge(tx, user_id, media.charged_bytes, bytes_max=quota):
                raise AllowanceUsedUp(quota)
            await store.add_media(tx, media)
        return MxcUri(f"mxc://{self._server_name}/{media.media_id}")

    async def _orphans(self) -> AsyncIterator[bytes]:
        """Files that no upload needs and that aren't waiting for their row (2)."""
        reader = self._database.reader(of=Owner.GLOBAL)
        for shard in SHARDS:
            hashes = await self._files.hashes_in(shard)
            for start in range(0, len(hashes), store.PAGE):
                some = hashes[start : start + store.PAGE]
                with self._held.watch() as held:
                    needed = await store.needed_between(reader, some[0], some[-1])
                    for content_hash in some:
                        if (
                            content_hash not in needed
                            and content_hash not in held
                            and self._is_old(content_hash)
                        ):
                            yield content_hash

    def _is_old(self, content_hash: bytes) -> bool:
        """Was a file put in place so long ago that no other process can be about to add its row?"""
        written_ms = self._files.written_ms(content_hash)
        age_min_ms = self._settings.orphan_age_min.total_seconds() * 1000
        return written_ms is not None and self._clock.now_ms() - written_ms >= age_min_ms

    async def _verify_contents(self, hash_every: int) -> AsyncIterator[str]:
        reader = self._database.reader(of=Owner.GLOBAL)
        last, count = b"", 0
        while page := await store.contents_after(reader, last):
            last = page[-1].hash
            for content in page:
                size = self._files.size_of(content.hash)
                if size is None:
                    if await store.is_needed(reader, content.hash):
                        yield f"media: the file {content.hash.hex()} is missing"
                elif size != content.size:
                    yield f"media: the file {content.hash.hex()} has {size} bytes, not {content.size}"
                elif count % hash_every == 0:
                    found = await self._files.hash_of(content.hash)
                    if found not in (None, content.hash):
                        yield f"media: the file {content.hash.hex()} holds something else"
                count += 1


class _UnderWay:
    """Uploads that this process is taking, per person: their number and bytes."""

    def __init__(self) -> None:
        self._files: Counter[UserId] = Counter()
        self._bytes: Counter[UserId] = Counter()

    @contextmanager
    def one_more(self, user_id: UserId, files_max: int) -> Iterator["_Upload"]:
        """Counts one upload until it ends. Raises LimitExceeded where there are too many."""
        if self._files[user_id] >= files_max:
            raise LimitExceeded(retry_after_ms=1_000)
        self._files[user_id] += 1
        upload = _Upload(self._bytes, user_id)
        try:
            yield upload
        finally:
            self._bytes[user_id] -= upload.size
            self._files[user_id] -= 1
            if not self._files[user_id]:
                del self._files[user_id], self._bytes[user_id]


class _Upload:
    """One upload under way, in its person's sum."""

    def __init__(self, bytes_per_person: Counter[UserId], user_id: UserId) -> None:
        self._bytes = bytes_per_person
        self._user_id = user_id
        self.size = 0
        """Bytes declared or taken, whichever is more."""

    def grow_to(self, size: int) -> None:
        if size > self.size:
            self._bytes[self._user_id] += size - self.size
            self.size = size

    @property
    def bytes_of_person(self) -> int:
        """What all uploads of this person that are under way come to."""
        return self._bytes[self._user_id]


class _Held:
    """Contents whose row is on its way: what `sweep` may not touch though no row needs it (2)."""

    def __init__(self) -> None:
        self._now: Counter[bytes] = Counter()
        self._watches: list[set[bytes]] = []

    @contextmanager
    def hold(self, content_hash: bytes) -> Iterator[None]:
        """From before the file is put in place until its row is committed, or isn't."""
        self._now[content_hash] += 1
        for watch in self._watches:
            watch.add(content_hash)
        try:
            yield
        finally:
            self._now[content_hash] -= 1
            if not self._now[content_hash]:
                del self._now[content_hash]

    @contextmanager
    def watch(self) -> Iterator[set[bytes]]:
        """All that is held at any time from entry to exit.

        Rows that are read meanwhile may be older than an upload that began and ended since.
        """
        watch = set(self._now)
        self._watches.append(watch)
        try:
            yield watch
        finally:
            self._watches = [other for other in self._watches if other is not watch]
