"""The values of media: an uploaded thing, the content it points to."""

import re
from typing import Final, NewType

from msgspec import Struct

from posthouse.matrix import UserId

MediaId = NewType("MediaId", str)
"""The last segment of an mxc URI: random, opaque, never used twice and never part of a file's path."""

MEDIA_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""The characters that the specification allows in a media id, against paths that climb."""


class Content(Struct, frozen=True):
    """Bytes that lie on disk once, whoever uploaded them and how often."""

    hash: bytes
    """SHA-256 of the bytes: 32 bytes, and in hexadecimal the file's name."""

    size: int
    """In bytes."""


class StoredMedia(Struct, frozen=True):
    """One upload: what an mxc URI stands for."""

    media_id: MediaId
    content: Content
    charged_bytes: int
    """What this upload takes of its owner's allowance."""

    content_type: str
    """A media type that is safe as a header (`rules.safe_content_type`)."""

    file_name: str | None
    user_id: UserId
    """Who uploaded it."""

    created_ms: int
    quarantined_ms: int | None = None
    """Since when nobody may fetch it; the file stays for whoever decides about it."""

    removed_ms: int | None = None
    """Since when it's gone; the row stays, so that the id is never given again."""

    read_ms: int | None = None
    """When it was fetched last, to the day; None where that wasn't noted."""

    @property
    def readable(self) -> bool:
        return self.quarantined_ms is None and self.removed_ms is None


class Announced(Struct, frozen=True):
    """An mxc URI that was given before its content: an upload that is expected."""

    media_id: MediaId
    user_id: UserId
    """Who may send it."""

    expires_ms: int
    """When the URI is good for nothing any more."""
