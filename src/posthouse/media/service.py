"""The verbs of media: upload, announce, open, thumbnail, sweep, verify."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import Final

import structlog
from msgspec import Struct

from posthouse.matrix import MxcUri, ServerName, UserId
from posthouse.media import rules, store
from posthouse.media.arrivals import Arrivals
from posthouse.media.errors import (
    AllowanceUsedUp,
    AlreadyUploaded,
    AnnouncedByAnother,
    NoSuchMedia,
    NotYetUploaded,
    TooManyAnnounced,
    UploadTooLarge,
)
from posthouse.media.files import SHARDS, MediaFolder
from posthouse.media.model import MEDIA_ID, Announced, Content, MediaId, StoredMedia
from posthouse.media.retention import Retention
from posthouse.media.settings import MediaSettings
from posthouse.media.sizes import Variant
from posthouse.media.thumbnails import Thumbnail, Thumbnails
from posthouse.media.under_way import HeldContents, Upload, UploadsUnderWay
from posthouse.std.clock import Clock, Randomness
from posthouse.std.faults import Unavailable
from posthouse.storage import Database, Owner

_MEDIA_ID_BYTES: Final = 24
"""192 bits: an mxc URI is all that one signed-in person needs to read a file."""

_NOTES_EVERY_S: Final = 60.0
_TRY_AGAIN_MS_MAX: Final = 60_000
"""Of those who have announced too much: sending one of them makes room before any expires."""

_log = structlog.get_logger(__name__)


class OpenMedia(Struct, frozen=True):
    """A stored thing and where its bytes lie."""

    media: StoredMedia
    path: Path


class Media:
    """What people upload and fetch.

    The state here is owned by the event loop: `_under_way` counts files and bytes per person that
    this process is taking, `_held` knows the contents that are on disk, or about to be, while their
    row isn't committed yet, `_arrivals` who waits for an upload that was announced.
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
        self._thumbnails = Thumbnails(self._files, folder, settings.thumbnails, clock)
        self._retention = Retention(database, settings, clock)
        self._under_way = UploadsUnderWay()
        self._held = HeldContents()
        self._arrivals = Arrivals()

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
        media_id = MediaId(self._randomness.token_urlsafe(_MEDIA_ID_BYTES))
        upload = _Expected(media_id, user_id, content_type, file_name, announced=False)
        await self._receive(upload, body, length)
        return self._uri(media_id)

    async def announce(self, user_id: UserId) -> tuple[MxcUri, int]:
        """An mxc URI for an upload that is still to come, and when it ends if none does, in ms.

        Raises TooManyAnnounced where the person has that many outstanding.
        """
        now_ms = self._clock.now_ms()
        lifetime_ms = int(self._settings.announced_lifetime.total_seconds() * 1000)
        count_max = self._settings.person_announced_max
        announced = Announced(
            media_id=MediaId(self._randomness.token_urlsafe(_MEDIA_ID_BYTES)),
            user_id=user_id,
            expires_ms=now_ms + lifetime_ms,
        )
        async with self._database.transaction(of=Owner.GLOBAL) as tx:
            first_ms = await store.announce(tx, announced, now_ms=now_ms, count_max=count_max)
            if first_ms is not None:
                raise TooManyAnnounced(count_max, min(first_ms - now_ms, _TRY_AGAIN_MS_MAX))
        return self._uri(announced.media_id), announced.expires_ms

    async def upload_announced(
        self,
        user_id: UserId,
        server_name: str,
        media_id: str,
        body: AsyncIterable[bytes],
        *,
        content_type: str | None,
        file_name: str | None,
        length: int | None = None,
    ) -> None:
        """Keeps what `body` yields under an id that `announce` gave, once.

        Raises NoSuchMedia for an id that wasn't given or has expired, AnnouncedByAnother,
        AlreadyUploaded, and what `upload` raises.
        """
        self._judge_uri(server_name, media_id)
        id_ = MediaId(media_id)
        reader = self._database.reader(of=Owner.GLOBAL)
        announced = await store.find_announced(reader, id_, self._clock.now_ms())
        if announced is None:
            raise AlreadyUploaded if await store.find(reader, id_) else NoSuchMedia
        if announced.user_id != user_id:
            raise AnnouncedByAnother
        upload = _Expected(id_, user_id, content_type, file_name, announced=True)
        await self._receive(upload, body, length)
        self._arrivals.ring(id_)

    async def open(self, server_name: str, media_id: str, *, wait_ms: int = 0) -> OpenMedia:
        """What an mxc URI stands for, for a person who is signed in.

        One that was announced is waited for, `wait_ms` at most and never longer than `wait_max`.
        Raises NoSuchMedia for what isn't there, what is quarantined and any other server's: no
        request leaves for another server. Raises NotYetUploaded, and Unavailable where the file is
        lost.
        """
        self._judge_uri(server_name, media_id)
        id_ = MediaId(media_id)
        media = await store.find(self._database.reader(of=Owner.GLOBAL), id_)
        if media is None:
            media = await self._wait_for(id_, wait_ms)
        if not media.readable:
            raise NoSuchMedia
        if self._files.size_of(media.content.hash) != media.content.size:
            _log.error("media.file_lost", media_id=media_id, hash=media.content.hash.hex())
            raise Unavailable("a media file is missing or cut short")
        self._retention.note(media)
        return OpenMedia(media=media, path=self._files.path_of(media.content.hash))

    async def thumbnail(
        self,
        user_id: UserId,
        server_name: str,
        media_id: str,
        variant: Variant,
        *,
        wait_ms: int = 0,
    ) -> tuple[StoredMedia, Thumbnail]:
        """A thumbnail of what an mxc URI stands for; `user_id` is who waits for it.

        Raises what `open` raises; NoThumbnail, PictureTooLarge; LimitExceeded for who asks for too
        many at once.
        """
        found = await self.open(server_name, media_id, wait_ms=wait_ms)
        return found.media, await self._thumbnails.get(user_id, found.media.content, variant)

    async def usage_of(self, user_id: UserId) -> int:
        """What a person's uploads take of their allowance, in bytes."""
        return await store.usage_of(self._database.reader(of=Owner.GLOBAL), user_id)

    async def run(self) -> None:
        """Sweeps at start and then every `sweep_every`, for as long as the server runs."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sweep_regularly())
            group.create_task(self._write_notes_regularly())

    async def sweep(self) -> int:
        """Ends uploads that have come of age; removes what a crash left behind, and what no upload
        needs any more.

        Returns how many files it removed.
        """
        if ended := await self._retention.end_what_is_due():
            _log.info("media.retention_ended", uploads=ended)
        removed = await self._files.remove_abandoned()
        async for content_hash in self._orphans():
            # No await between the question and the deed: an upload that comes after it puts the
            # file in place again.
            self._files.remove(content_hash)
            removed += 1
        removed += await self._thumbnails.sweep()
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
        self._thumbnails.close()
        self._files.close()

    async def _sweep_regularly(self) -> None:
        while True:
            try:
                await self.sweep()
            except Unavailable as fault:
                _log.warning("media.sweep_failed", reason=str(fault))
            await asyncio.sleep(self._settings.sweep_every.total_seconds())

    async def _write_notes_regularly(self) -> None:
        while True:
            await asyncio.sleep(_NOTES_EVERY_S)
            try:
                await self._retention.write_notes()
            except Unavailable as fault:
                _log.warning("media.notes_not_written", reason=str(fault))

    def _uri(self, media_id: MediaId) -> MxcUri:
        return MxcUri(f"mxc://{self._server_name}/{media_id}")

    def _judge_uri(self, server_name: str, media_id: str) -> None:
        """Raises NoSuchMedia for another server's, and for what is no media id."""
        if server_name != self._server_name or not MEDIA_ID.fullmatch(media_id):
            raise NoSuchMedia

    async def _wait_for(self, media_id: MediaId, wait_ms: int) -> StoredMedia:
        """What an announced id stands for, once it came. Raises NoSuchMedia, NotYetUploaded."""
        reader = self._database.reader(of=Owner.GLOBAL)
        wait_s = min(wait_ms / 1000, self._settings.wait_max.total_seconds())
        end = self._clock.monotonic() + wait_s
        with self._arrivals.bell(media_id) as bell:
            while True:
                # In this order: what came between the two is found by the second.
                announced = await store.find_announced(reader, media_id, self._clock.now_ms())
                media = await store.find(reader, media_id)
                if media is not None:
                    return media
                if announced is None:
                    raise NoSuchMedia
                left_s = end - self._clock.monotonic()
                if bell is None or left_s <= 0:
                    raise NotYetUploaded
                await bell.wait(left_s)

    async def _receive(
        self, expected: "_Expected", body: AsyncIterable[bytes], length: int | None
    ) -> None:
        """Takes an upload from the client to the disk, and commits its row (1)."""
        user_id = expected.user_id
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
                    await self._add(expected, content)

    def _judge(self, upload: Upload, charged_before: int) -> None:
        """Refuses as soon as it's clear, so that nobody fills the disk with what can't be kept.

        The row's own transaction has the last word on the allowance (3).
        """
        if upload.size > self._settings.upload_bytes_max:
            raise UploadTooLarge(self._settings.upload_bytes_max)
        if charged_before + upload.bytes_of_person > self._settings.person_bytes_max:
            raise AllowanceUsedUp(self._settings.person_bytes_max)

    async def _add(self, expected: "_Expected", content: Content) -> None:
        media = StoredMedia(
            media_id=expected.media_id,
            content=content,
            charged_bytes=rules.charge_of(content.size),
            content_type=rules.safe_content_type(expected.content_type),
            file_name=rules.safe_file_name(expected.file_name),
            user_id=expected.user_id,
            created_ms=self._clock.now_ms(),
        )
        quota = self._settings.person_bytes_max
        async with self._database.transaction(of=Owner.GLOBAL) as tx:
            if not await store.charge(tx, media.user_id, media.charged_bytes, bytes_max=quota):
                raise AllowanceUsedUp(quota)
            if expected.announced and not await store.take_announced(tx, media.media_id):
                raise AlreadyUploaded if await store.find(tx, media.media_id) else NoSuchMedia
            await store.add_media(tx, media)

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


class _Expected(Struct, frozen=True):
    """An upload before its content is known."""

    media_id: MediaId
    user_id: UserId
    content_type: str | None
    file_name: str | None
    announced: bool
