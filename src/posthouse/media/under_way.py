"""Uploads that this process is taking, and the contents whose rows are on their way.

All of it is the event loop's. What ends with the process is right to end with it: half an upload
belongs to nobody.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from posthouse.matrix import LimitExceeded, UserId


class UploadsUnderWay:
    """Uploads that this process is taking, per person: their number and bytes."""

    def __init__(self) -> None:
        self._files: Counter[UserId] = Counter()
        self._bytes: Counter[UserId] = Counter()

    @contextmanager
    def one_more(self, user_id: UserId, files_max: int) -> Iterator["Upload"]:
        """Counts one upload until it ends. Raises LimitExceeded where there are too many."""
        if self._files[user_id] >= files_max:
            raise LimitExceeded(retry_after_ms=1_000)
        self._files[user_id] += 1
        upload = Upload(self._bytes, user_id)
        try:
            yield upload
        finally:
            self._bytes[user_id] -= upload.size
            self._files[user_id] -= 1
            if not self._files[user_id]:
                del self._files[user_id], self._bytes[user_id]


class Upload:
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


class HeldContents:
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
