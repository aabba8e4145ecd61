"""The media folder: where bytes become durable before anything speaks of them.

    incoming/<random>         being written, locked by the process that writes it
    content/<ab>/<sha-256>    whole, synced, never changed again

(1) A name in `content/` is the SHA-256 of what it holds. A file gets there by one rename, after
    its bytes are synced, and the folder is synced before the caller hears of it.
(2) A file in `incoming/` is held by a lock that the kernel drops with the process: what can be
    locked belongs to nobody and is removed at the next start.
(3) No part of a path comes from a client.
(4) What may block runs in the folder's own few threads. One `IncomingFile` is in one thread at a
    time, and holds at most `_PIECE_BYTES` in memory plus what the caller hands over.
"""

import asyncio
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from posthouse.media.model import Content
from posthouse.std.faults import Unavailable

_T = TypeVar("_T")

_PIECE_BYTES: Final = 256 * 1024
"""Bytes gathered before they are hashed and written: one trip to a thread for each piece."""

_THREADS: Final = 4

_HASH_IN_HEX: Final = re.compile(r"[0-9a-f]{64}")

SHARDS: Final = tuple(bytes((first,)) for first in range(256))
"""The first bytes of a hash, a folder each."""


class MediaFolder:
    """Files by the hash of their content, below one folder."""

    def __init__(self, root: Path, *, free_bytes_min: int = 0) -> None:
        """Opens the folder, made where it isn't there yet. Raises Unavailable as the disk does.

        All shards are made at once and synced: a shard made by the first upload that needs it
        could vanish in a crash under the second one, which found it there.
        """
        self._incoming = root / "incoming"
        self._content = root / "content"
        self._free_bytes_min = free_bytes_min
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="media")
        try:
            self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
            for shard in SHARDS:
                (self._content / shard.hex()).mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self._content, root, root.parent):
                _sync_folder(folder)
        except OSError as error:
            raise _fault(error) from error

    def incoming(self) -> "IncomingFile":
        """A new file to be written; an async context that leaves nothing unless it is kept.

        Raises Unavailable at entry while the disk has less free than it should.
        """
        return IncomingFile(self, self._incoming / secrets.token_hex(16))

    def need_space(self) -> None:
        """Raises Unavailable while the disk has less free than it should; may block."""
        if shutil.disk_usage(self._incoming).free < self._free_bytes_min:
            raise Unavailable("the media folder: too little space is left")

    def path_of(self, content_hash: bytes) -> Path:
        name = content_hash.hex()
        return self._content / name[:2] / name

    def size_of(self, content_hash: bytes) -> int | None:
        """The file's length in bytes; None where there is no such file."""
        stat = self._stat(content_hash)
        return None if stat is None else stat.st_size

    def written_ms(self, content_hash: bytes) -> int | None:
        """When the file was last put in place; None where there is no such file."""
        stat = self._stat(content_hash)
        return None if stat is None else stat.st_mtime_ns // 1_000_000

    def remove(self, content_hash: bytes) -> None:
        try:
            self.path_of(content_hash).unlink(missing_ok=True)
        except OSError as error:
            raise _fault(error) from error

    async def hash_of(self, content_hash: bytes) -> bytes | None:
        """What the file of that name really holds; None where there is no such file."""
        return await self.in_thread(lambda: _hash_of(self.path_of(content_hash)))

    async def hashes_in(self, shard: bytes) -> list[bytes]:
        """The hashes of all files that begin so, in order; names that are no hash are left out."""
        return await self.in_thread(lambda: sorted(_hashes(self._content / shard.hex())))

    async def remove_abandoned(self) -> int:
        """Removes what no living process is writing (2); returns how many files that were."""
        return await self.in_thread(
            lambda: sum(map(_remove_unless_locked, self._incoming.iterdir()))
        )

    async def in_thread(self, work: Callable[[], _T]) -> _T:
        """Runs what may block. What the disk declines is a fault: Unavailable."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except OSError as error:
            raise _fault(error) from error

    def _stat(self, content_hash: bytes) -> os.stat_result | None:
        try:
            return self.path_of(content_hash).stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _fault(error) from error

    def close(self) -> None:
        """Waits for what the threads are doing."""
        self._threads.shutdown(wait=True)


class IncomingFile:
    """One upload on its way: written, hashed meanwhile, and kept or left without a trace.

    The lock orders the threads' work: a caller that is cancelled leaves its write running, and the
    removal then waits for it instead of closing the file under it.
    """

    def __init__(self, folder: MediaFolder, path: Path) -> None:
        self._folder = folder
        self._path = path
        self._lock = threading.Lock()
        self._hash = hashlib.sha256()
        self._descriptor = -1
        self._left = False
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        self.size = 0
        """Bytes taken so far."""

    async def __aenter__(self) -> Self:
        try:
            await self._folder.in_thread(self._open)
        except BaseException:
            await self._folder.in_thread(self._leave)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._folder.in_thread(self._leave)

    async def write(self, data: bytes) -> None:
        """Takes the next bytes; returns when it has room for more."""
        self._pieces.append(data)
        self._waiting_bytes += len(data)
        self.size += len(data)
        if self._waiting_bytes >= _PIECE_BYTES:
            pieces = self._take()
            await self._folder.in_thread(lambda: self._write(pieces))

    async def finish(self) -> Content:
        """Makes the bytes durable and says what they are; nothing more may be written."""
        pieces = self._take()
        return await self._folder.in_thread(lambda: self._finish(pieces))

    async def keep(self, content: Content) -> None:
        """Puts the finished file under the hash of its content, durably (1).

        A file that is there already is replaced by its equal: whoever reads the old one goes on
        reading it, and one that had rotted is whole again.
        """
        await self._folder.in_thread(lambda: self._keep(self._folder.path_of(content.hash)))

    def _take(self) -> list[bytes]:
        pieces, self._pieces, self._waiting_bytes = self._pieces, [], 0
        return pieces

    def _open(self) -> None:
        self._folder.need_space()
        with self._lock:
            if self._left:
                return
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def _write(self, pieces: list[bytes]) -> None:
        with self._lock:
            for piece in pieces:
                self._hash.update(piece)
                rest = memoryview(piece)
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]

    def _finish(self, pieces: list[bytes]) -> Content:
        self._write(pieces)
        with self._lock:
            os.fsync(self._descriptor)
            return Content(hash=self._hash.digest(), size=self.size)

    def _keep(self, target: Path) -> None:
        with self._lock:
            os.replace(self._path, target)
            _sync_folder(target.parent)

    def _leave(self) -> None:
        with self._lock:
            self._left = True
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
                self._path.unlink(missing_ok=True)


def _fault(error: OSError) -> Unavailable:
    return Unavailable(f"the media folder: {error.strerror or error}")


def _sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_unless_locked(path: Path) -> bool:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        path.unlink(missing_ok=True)
        return True
    finally:
        os.close(descriptor)


def _hash_of(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except FileNotFoundError:
        return None


def _hashes(shard: Path) -> Iterator[bytes]:
    for file in shard.iterdir():
        if _HASH_IN_HEX.fullmatch(file.name):
            yield bytes.fromhex(file.name)
