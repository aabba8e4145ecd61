"""What ends by itself: uploads that nobody has fetched for long, and announced ones that never came.

(1) An upload is kept for `retention` from the last time that somebody fetched it, or a thumbnail of
    it. That time is noted roughly (to the day, or to a tenth of a shorter retention), once a minute
    for all that were fetched: a download writes nothing. A crash forgets the last minute.
(2) What ends, ends in pages: no transaction and no answer grows with how much has come of age.
(3) What is quarantined stays for whoever decides about it.
(4) The rows end here. Files without a row are `Media.sweep`'s.
"""

from typing import Final

from posthouse.media import store
from posthouse.media.model import MediaId, StoredMedia
from posthouse.media.settings import MediaSettings
from posthouse.std.clock import Clock
from posthouse.storage import Database, Owner

_DAY_MS: Final = 24 * 3_600_000
_NOTED_MAX: Final = 10_000


class Retention:
    """Keeps in mind what is fetched, and ends what isn't. The event loop's."""

    def __init__(self, database: Database, settings: MediaSettings, clock: Clock) -> None:
        self._database = database
        self._retention_ms: int | None = None
        self._precision_ms = _DAY_MS
        if settings.retention is not None:
            self._retention_ms = int(settings.retention.total_seconds() * 1000)
            self._precision_ms = min(_DAY_MS, self._retention_ms // 10)
        self._clock = clock
        self._fetched: set[MediaId] = set()

    def note(self, media: StoredMedia) -> None:
        """Somebody fetches it. Beyond a bound it isn't noted: what is fetched much, is again."""
        if self._retention_ms is None or len(self._fetched) >= _NOTED_MAX:
            return
        if self._clock.now_ms() - (media.read_ms or media.created_ms) >= self._precision_ms:
            self._fetched.add(media.media_id)

    async def write_notes(self) -> None:
        """Makes durable what was fetched. Raises Unavailable; nothing is forgotten then."""
        noted = sorted(self._fetched)
        for start in range(0, len(noted), store.PAGE):
            some = noted[start : start + store.PAGE]
            async with self._database.transaction(of=Owner.GLOBAL) as tx:
                await store.note_read(tx, some, self._clock.now_ms())
            self._fetched.difference_update(some)

    async def end_what_is_due(self) -> int:
        """Ends uploads and announcements that have come of age; returns how many uploads."""
        await self.write_notes()
        now_ms = self._clock.now_ms()
        while True:
            async with self._database.transaction(of=Owner.GLOBAL) as tx:
                if await store.forget_expired(tx, now_ms) < store.PAGE:
                    break
        if self._retention_ms is None:
            return 0
        return await self._end_unused(now_ms - self._retention_ms, now_ms)

    async def _end_unused(self, before_ms: int, now_ms: int) -> int:
        reader = self._database.reader(of=Owner.GLOBAL)
        ended = 0
        place = (-1, MediaId(""))
        while page := await store.aged_after(reader, place, before_ms):
            place = page[-1][:2]
            due = [media_id for _, media_id, used_ms in page if used_ms < before_ms]
            # Fetched since the notes were written: left for the next time.
            due = [media_id for media_id in due if media_id not in self._fetched]
            if due:
                async with self._database.transaction(of=Owner.GLOBAL) as tx:
                    ended += await store.remove_unused(
                        tx, due, unused_since_ms=before_ms, now_ms=now_ms
                    )
        return ended
