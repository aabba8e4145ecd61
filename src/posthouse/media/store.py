"""All SQL of media. Its tables are global: an upload belongs to no room and to no stream."""

from collections import Counter
from typing import Final

from posthouse.matrix import UserId
from posthouse.media.model import Announced, Content, MediaId, StoredMedia
from posthouse.storage import Dialects, Reader, Row, Transaction

PAGE: Final = 1_000
"""Rows that one page of a scan holds at most."""

_ADD_MEDIA: Final = """
    INSERT INTO media (media_id, content_hash, size, charged_bytes, content_type, file_name,
                       user_id, created_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def add_media(tx: Transaction, media: StoredMedia) -> None:
    await tx.execute(
        _ADD_MEDIA,
        media.media_id,
        media.content.hash,
        media.content.size,
        media.charged_bytes,
        media.content_type,
        media.file_name,
        media.user_id,
        media.created_ms,
    )


_CHARGE: Final = """
    INSERT INTO media_usage (user_id, charged_bytes)
    VALUES ($1, $2)
    ON CONFLICT (user_id) DO UPDATE
        SET charged_bytes = media_usage.charged_bytes + excluded.charged_bytes
        WHERE media_usage.charged_bytes + excluded.charged_bytes <= $3
    RETURNING charged_bytes
"""


async def charge(tx: Transaction, user_id: UserId, charged_bytes: int, *, bytes_max: int) -> bool:
    """Takes from a person's allowance; False, with nothing taken, where it would not suffice.

    The WHERE holds the allowance for racing uploads: whichever comes last sees what the others
    took. A person's first upload is compared here, because no row is there to conflict with.
    """
    if charged_bytes > bytes_max:
        return False
    return await tx.fetch_one(_CHARGE, user_id, charged_bytes, bytes_max) is not None


_USAGE_OF: Final = "SELECT charged_bytes FROM media_usage WHERE user_id = $1"


async def usage_of(reader: Reader, user_id: UserId) -> int:
    """What a person's uploads take of their allowance, in bytes."""
    row = await reader.fetch_one(_USAGE_OF, user_id)
    return 0 if row is None else int(row[0])


_FIND: Final = """
    SELECT media_id, content_hash, size, charged_bytes, content_type, file_name, user_id,
           created_ms, quarantined_ms, removed_ms, read_ms
    FROM media WHERE media_id = $1
"""


async def find(reader: Reader, media_id: MediaId) -> StoredMedia | None:
    row = await reader.fetch_one(_FIND, media_id)
    return None if row is None else _media(row)


_TAKE_USAGE: Final = """
    INSERT INTO media_usage (user_id, charged_bytes) VALUES ($1, 0)
    ON CONFLICT (user_id) DO UPDATE SET charged_bytes = media_usage.charged_bytes
"""

_COUNT_ANNOUNCED: Final = """
    SELECT COUNT(*), MIN(expires_ms) FROM media_announced WHERE user_id = $1 AND expires_ms > $2
"""

_ANNOUNCE: Final = """
    INSERT INTO media_announced (media_id, user_id, expires_ms) VALUES ($1, $2, $3)
"""


async def announce(
    tx: Transaction, announced: Announced, *, now_ms: int, count_max: int
) -> int | None:
    """Adds an upload that is expected; None where it was added.

    Where the person has `count_max` outstanding, nothing is added and the answer is when the first
    of them expires. The person's row of usage is taken first, so that two at once count each other.
    """
    await tx.execute(_TAKE_USAGE, announced.user_id)
    row = await tx.fetch_one(_COUNT_ANNOUNCED, announced.user_id, now_ms)
    assert row is not None
    count, first_expires_ms = row
    if count >= count_max:
        return int(first_expires_ms)
    await tx.execute(_ANNOUNCE, announced.media_id, announced.user_id, announced.expires_ms)
    return None


_FIND_ANNOUNCED: Final = """
    SELECT user_id, expires_ms FROM media_announced WHERE media_id = $1 AND expires_ms > $2
"""


async def find_announced(reader: Reader, media_id: MediaId, now_ms: int) -> Announced | None:
    """An upload that is expected and hasn't expired."""
    row = await reader.fetch_one(_FIND_ANNOUNCED, media_id, now_ms)
    if row is None:
        return None
    return Announced(media_id=media_id, user_id=UserId(row[0]), expires_ms=row[1])


_TAKE_ANNOUNCED: Final = "DELETE FROM media_announced WHERE media_id = $1"


async def take_announced(tx: Transaction, media_id: MediaId) -> bool:
    """Ends an expectation, for its content is here; False where somebody was faster, or it expired.

    The row's end decides between two who send the same upload: one of them finds it.
    """
    return await tx.execute(_TAKE_ANNOUNCED, media_id) == 1


_FORGET_EXPIRED: Final = """
    DELETE FROM media_announced WHERE media_id IN (
        SELECT media_id FROM media_announced WHERE expires_ms <= $1 ORDER BY expires_ms LIMIT $2
    )
"""


async def forget_expired(tx: Transaction, now_ms: int) -> int:
    """Removes a page of expectations that came to nothing; returns how many that were."""
    return await tx.execute(_FORGET_EXPIRED, now_ms, PAGE)


_NOTE_READ: Final = Dialects(
    sqlite="UPDATE media SET read_ms = $1 WHERE media_id IN (SELECT value FROM json_each($2))",
    postgresql="UPDATE media SET read_ms = $1 WHERE media_id = ANY($2)",
)


async def note_read(tx: Transaction, media_ids: list[MediaId], read_ms: int) -> None:
    await tx.execute(_NOTE_READ, read_ms, media_ids)


_AGED: Final = """
    SELECT created_ms, media_id, COALESCE(read_ms, created_ms)
    FROM media
    WHERE removed_ms IS NULL AND quarantined_ms IS NULL
      AND (created_ms, media_id) > ($1, $2) AND created_ms < $3
    ORDER BY created_ms, media_id
    LIMIT $4
"""


async def aged_after(
    reader: Reader, place: tuple[int, MediaId], before_ms: int
) -> list[tuple[int, MediaId, int]]:
    """The next page of uploads from before a time: (created, id, fetched last), oldest first."""
    return [
        (created_ms, MediaId(media_id), used_ms)
        for created_ms, media_id, used_ms in await reader.fetch_all(_AGED, *place, before_ms, PAGE)
    ]


_REMOVE_UNUSED: Final = Dialects(
    sqlite="""
        UPDATE media SET removed_ms = $1
        WHERE media_id IN (SELECT value FROM json_each($2)) AND removed_ms IS NULL
          AND quarantined_ms IS NULL AND COALESCE(read_ms, created_ms) < $3
        RETURNING user_id, charged_bytes
    """,
    postgresql="""
        UPDATE media SET removed_ms = $1
        WHERE media_id = ANY($2) AND removed_ms IS NULL
          AND quarantined_ms IS NULL AND COALESCE(read_ms, created_ms) < $3
        RETURNING user_id, charged_bytes
    """,
)

_REFUND: Final = """
    UPDATE media_usage SET charged_bytes = charged_bytes - $2 WHERE user_id = $1
"""


async def remove_unused(
    tx: Transaction, media_ids: list[MediaId], *, unused_since_ms: int, now_ms: int
) -> int:
    """Removes those that nobody has fetched since, and gives their owners the allowance back.

    Returns how many that were. Their rows stay, so that no id is given again.
    """
    refunds: Counter[str] = Counter()
    rows = await tx.fetch_all(_REMOVE_UNUSED, now_ms, media_ids, unused_since_ms)
    for user_id, charged_bytes in rows:
        refunds[user_id] += charged_bytes
    # In one order: two processes that give back at once don't wait for each other in a circle.
    for user_id in sorted(refunds):
        await tx.execute(_REFUND, user_id, refunds[user_id])
    return len(rows)


_IS_NEEDED: Final = """
    SELECT 1 FROM media WHERE content_hash = $1 AND removed_ms IS NULL LIMIT 1
"""


async def is_needed(reader: Reader, content_hash: bytes) -> bool:
    """Does any upload need the file of this content?"""
    return await reader.fetch_one(_IS_NEEDED, content_hash) is not None


_NEEDED_BETWEEN: Final = """
    SELECT DISTINCT content_hash FROM media
    WHERE content_hash >= $1 AND content_hash <= $2 AND removed_ms IS NULL
"""


async def needed_between(reader: Reader, first: bytes, last: bytes) -> set[bytes]:
    """The contents in a range, its ends included, that uploads need.

    The caller bounds the answer: it asks for the range of files it has just listed.
    """
    return {bytes(row[0]) for row in await reader.fetch_all(_NEEDED_BETWEEN, first, last)}


_CONTENTS_AFTER: Final = """
    SELECT content_hash, MIN(size), MAX(size)
    FROM media
    WHERE content_hash > $1 AND removed_ms IS NULL
    GROUP BY content_hash
    ORDER BY content_hash
    LIMIT $2
"""


async def contents_after(reader: Reader, content_hash: bytes) -> list[Content]:
    """The next page of contents that uploads need, in the order of their hashes."""
    contents = []
    rows = await reader.fetch_all(_CONTENTS_AFTER, content_hash, PAGE)
    for found, size_least, size_most in rows:
        if size_least != size_most:
            raise AssertionError(f"media.size: two sizes for content {found.hex()}")
        contents.append(Content(hash=bytes(found), size=size_most))
    return contents


_USAGE_MISMATCHES: Final = """
    SELECT u.user_id, u.charged_bytes, COALESCE(SUM(m.charged_bytes), 0)
    FROM media_usage u
    LEFT JOIN media m ON m.user_id = u.user_id AND m.removed_ms IS NULL
    GROUP BY u.user_id, u.charged_bytes
    HAVING u.charged_bytes <> COALESCE(SUM(m.charged_bytes), 0)
    ORDER BY u.user_id
    LIMIT $1
"""

_UNCHARGED: Final = """
    SELECT DISTINCT m.user_id
    FROM media m
    WHERE NOT EXISTS (SELECT 1 FROM media_usage u WHERE u.user_id = m.user_id)
    ORDER BY m.user_id
    LIMIT $1
"""


async def usage_mismatches(reader: Reader) -> list[tuple[UserId, int, int]]:
    """Who is charged something else than their uploads take: (person, charged, taken)."""
    return [
        (UserId(user_id), int(charged), int(taken))
        for user_id, charged, taken in await reader.fetch_all(_USAGE_MISMATCHES, PAGE)
    ]


async def uncharged(reader: Reader) -> list[UserId]:
    """Who has uploads and no row that says what they take."""
    return [UserId(user_id) for (user_id,) in await reader.fetch_all(_UNCHARGED, PAGE)]


def _media(row: Row) -> StoredMedia:
    (
        media_id,
        content_hash,
        size,
        charged_bytes,
        content_type,
        file_name,
        user_id,
        created_ms,
        quarantined_ms,
        removed_ms,
        read_ms,
    ) = row
    if len(content_hash) != 32 or size < 0 or charged_bytes < size:
        raise AssertionError(f"media: content_hash, size or charged_bytes of {media_id}")
    return StoredMedia(
        media_id=MediaId(media_id),
        content=Content(hash=bytes(content_hash), size=size),
        charged_bytes=charged_bytes,
        content_type=content_type,
        file_name=file_name,
        user_id=UserId(user_id),
        created_ms=created_ms,
        quarantined_ms=quarantined_ms,
        removed_ms=removed_ms,
        read_ms=read_ms,
    )
