"""Thumbnails as they are kept: a cache beside the contents, made again where it is lost.

    thumbnails/<ab>/<sha-256 of the content>.<variant>     whole, named when it was whole
    thumbnails/making/<random>                             being written by a process of its own

(1) A thumbnail is asked for only through the row of its picture: one that may not be fetched has no
    thumbnail either, whatever lies here.
(2) Each shard has its share of `cache_bytes_max` and holds it at every addition; those that were
    asked for longest ago go first.
(3) What is served says of itself what it is, by its first bytes: we wrote them.
(4) A picture that was refused isn't tried again for a while: refusing can cost as much as making.
"""

import asyncio
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from posthouse.matrix import Refusal
from posthouse.media.errors import NoThumbnail, PictureTooLarge
from posthouse.media.files import SHARDS, MediaFolder
from posthouse.media.model import Content
from posthouse.media.pictures import SIGNATURE_BYTES, PictureType, picture_type
from posthouse.media.settings import ThumbnailSettings
from posthouse.media.sizes import Variant
from posthouse.media.thumbnailer import Outcome, Thumbnailer
from posthouse.std.clock import Clock
from posthouse.std.faults import Unavailable

_REFUSED_FOR_MS: Final = 3_600_000
_REFUSALS_MAX: Final = 10_000
_ABANDONED_AFTER_MS: Final = 3_600_000
_TOUCH_AFTER_MS: Final = 24 * 3_600_000
_KEPT_AT_EVICTION: Final = 0.9
"""The share of a full shard that is left, so that not every addition lists the folder."""


class Thumbnail(Struct, frozen=True):
    """A file to be served."""

    path: Path
    size: int
    content_type: PictureType


class Thumbnails:
    """Finds thumbnails and has them made. `_refused` and `_makers` are the event loop's."""

    def __init__(
        self, files: MediaFolder, root: Path, settings: ThumbnailSettings, clock: Clock
    ) -> None:
        self._files = files
        self._cache = _Cache(root / "thumbnails", settings.cache_bytes_max, clock)
        self._thumbnailer = Thumbnailer(settings)
        self._clock = clock
        self._refused: OrderedDict[tuple[bytes, Variant], tuple[Outcome, int]] = OrderedDict()
        self._makers: dict[tuple[bytes, Variant], _Maker] = {}

    async def get(self, who: Hashable, content: Content, variant: Variant) -> Thumbnail:
        """The thumbnail of a picture, made where it isn't there yet.

        Raises NoThumbnail, PictureTooLarge; LimitExceeded and Unavailable as `Thumbnailer` does.
        """
        found = await self._find(content, variant)
        if found is not None:
            return found
        kind = await self._files.in_thread(lambda: _type_of(self._files.path_of(content.hash)))
        if kind is None:
            raise NoThumbnail
        if variant.animated and not kind.may_move:
            return await self.get(who, content, variant.still())
        async with self._only_one(content.hash, variant):
            found = await self._find(content, variant)
            if found is not None:
                return found
            outcome = self._remembered(content, variant)
            if outcome is None:
                outcome = await self._make(who, content, variant)
        if outcome is Outcome.MADE:
            found = await self._find(content, variant)
            if found is None:
                raise Unavailable("a thumbnail vanished as it was made")
            return found
        if variant.animated:
            return await self.get(who, content, variant.still())
        raise _refusal(outcome)

    async def sweep(self) -> int:
        """Removes thumbnails whose picture is gone, and what was left half made."""
        removed = await self._files.in_thread(self._cache.remove_abandoned)
        for shard in SHARDS:
            there = set(await self._files.hashes_in(shard))
            removed += await self._files.in_thread(
                lambda shard=shard, there=there: self._cache.keep_only(shard, there)  # type: ignore[misc]
            )
        return removed

    def close(self) -> None:
        self._thumbnailer.close()

    async def _find(self, content: Content, variant: Variant) -> Thumbnail | None:
        return await self._files.in_thread(lambda: self._cache.find(content.hash, variant))

    async def _make(self, who: Hashable, content: Content, variant: Variant) -> Outcome:
        await self._files.in_thread(self._files.need_space)
        making = await self._files.in_thread(self._cache.place)
        try:
            outcome = await self._thumbnailer.make(
                who, self._files.path_of(content.hash), making, variant, moving=variant.animated
            )
            if outcome is Outcome.MADE:
                await self._files.in_thread(lambda: self._cache.keep(making, content.hash, variant))
            else:
                self._remember(content, variant, outcome)
            return outcome
        finally:
            with suppress(OSError):
                making.unlink(missing_ok=True)

    def _remembered(self, content: Content, variant: Variant) -> Outcome | None:
        outcome, until_ms = self._refused.get((content.hash, variant), (None, 0))
        return outcome if self._clock.now_ms() < until_ms else None

    def _remember(self, content: Content, variant: Variant, outcome: Outcome) -> None:
        """Keeps in mind what a picture was refused for (4)."""
        self._refused[content.hash, variant] = outcome, self._clock.now_ms() + _REFUSED_FOR_MS
        self._refused.move_to_end((content.hash, variant))
        if len(self._refused) > _REFUSALS_MAX:
            self._refused.popitem(last=False)

    @asynccontextmanager
    async def _only_one(self, content_hash: bytes, variant: Variant) -> AsyncIterator[None]:
        """Whoever asks for the same thumbnail meanwhile waits, and then finds it."""
        key = content_hash, variant
        maker = self._makers.setdefault(key, _Maker())
        maker.wanted_by += 1
        try:
            async with maker.lock:
                yield
        finally:
            maker.wanted_by -= 1
            if not maker.wanted_by:
                del self._makers[key]


class _Maker:
    """The right to make one thumbnail."""

    __slots__ = ("lock", "wanted_by")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.wanted_by = 0


def _refusal(outcome: Outcome) -> Refusal:
    return NoThumbnail() if outcome is Outcome.UNREADABLE else PictureTooLarge()


def _type_of(path: Path) -> PictureType | None:
    with path.open("rb") as file:
        return picture_type(file.read(SIGNATURE_BYTES))


class _Cache:
    """The files. Every method may block and runs in a thread; `_lock` guards `_bytes_of`."""

    def __init__(self, root: Path, bytes_max: int, clock: Clock) -> None:
        self._root = root
        self._clock = clock
        self._making = root / "making"
        self._shard_bytes_max = bytes_max // len(SHARDS)
        self._lock = threading.Lock()
        self._bytes_of: dict[Path, int] = {}
        """What lies in each shard, in bytes, of those that were counted since the start."""

    def find(self, content_hash: bytes, variant: Variant) -> Thumbnail | None:
        path = self._path_of(content_hash, variant)
        try:
            with path.open("rb") as file:
                kind = picture_type(file.read(SIGNATURE_BYTES))
                stat = os.stat(file.fileno())
        except FileNotFoundError:
            return None
        if kind is None:
            path.unlink(missing_ok=True)  # cut short by a crash; it's made again
            return None
        if self._age_ms(stat) > _TOUCH_AFTER_MS:
            with suppress(FileNotFoundError):
                os.utime(path)
        return Thumbnail(path=path, size=stat.st_size, content_type=kind)

    def place(self) -> Path:
        """Where a thumbnail may be written to."""
        self._making.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._making / secrets.token_hex(16)

    def keep(self, making: Path, content_hash: bytes, variant: Variant) -> None:
        """Gives a thumbnail that is whole its name."""
        descriptor = os.open(making, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            size = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        path = self._path_of(content_hash, variant)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with self._lock:
            os.replace(making, path)
            self._count(path.parent, size, spared=path)

    def keep_only(self, shard: bytes, there: set[bytes]) -> int:
        """Removes the thumbnails of a shard whose content isn't there any more."""
        removed = 0
        folder = self._root / shard.hex()
        names = {content_hash.hex() for content_hash in there}
        with self._lock, suppress(FileNotFoundError):
            for path in folder.iterdir():
                if path.name.partition(".")[0] not in names:
                    path.unlink(missing_ok=True)
                    removed += 1
            if removed:
                self._bytes_of.pop(folder, None)
        return removed

    def remove_abandoned(self) -> int:
        """Removes what nobody can be writing any more; a thumbnail takes seconds."""
        removed = 0
        with suppress(FileNotFoundError):
            for path in self._making.iterdir():
                with suppress(FileNotFoundError):
                    if self._age_ms(path.stat()) > _ABANDONED_AFTER_MS:
                        path.unlink()
                        removed += 1
        return removed

    def _age_ms(self, stat: os.stat_result) -> int:
        return self._clock.now_ms() - stat.st_mtime_ns // 1_000_000

    def _path_of(self, content_hash: bytes, variant: Variant) -> Path:
        name = content_hash.hex()
        return self._root / name[:2] / f"{name}.{variant.name}"

    def _count(self, folder: Path, added: int, *, spared: Path) -> None:
        """Adds to what lies in a shard, and makes room there where it's too much (2)."""
        known = self._bytes_of.get(folder)
        total = _bytes_in(folder) if known is None else known + added
        if total > self._shard_bytes_max:
            total = _remove_oldest(folder, int(self._shard_bytes_max * _KEPT_AT_EVICTION), spared)
        self._bytes_of[folder] = total


def _bytes_in(folder: Path) -> int:
    return sum(stat.st_size for _, stat in _files_of(folder))


def _remove_oldest(folder: Path, bytes_max: int, spared: Path) -> int:
    """Removes what was asked for longest ago until `bytes_max` are left; returns what is left.

    The one that was just made is spared: somebody is about to be given it.
    """
    files = sorted(_files_of(folder), key=lambda file: file[1].st_mtime_ns)
    total = sum(stat.st_size for _, stat in files)
    for path, stat in files:
        if total <= bytes_max:
            break
        if path != spared:
            path.unlink(missing_ok=True)
            total -= stat.st_size
    return total


def _files_of(folder: Path) -> list[tuple[Path, os.stat_result]]:
    found = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            found.append((path, path.stat()))
    return found
