"""All SQL of media. Its tables are global: an upload belongs to no room and to no stream."""

from typing import Final

from posthouse.matrix import UserId
from posthouse.media.model import Content, MediaId, StoredMedia
from posthouse.storage import Reader, Row, Transaction

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
           created_ms, quarantined_ms, removed_ms
    FROM media WHERE media_id = $1
"""


async def find(reader: Reader, media_id: MediaId) -> StoredMedia | None:
    row = await reader.fetch_one(_FIND, media_id)
    return None if row is None else _media(row)


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
    )
