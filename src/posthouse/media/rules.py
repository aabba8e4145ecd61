"""Decisions about media: plain functions from what was uploaded to what is answered.

(1) Nothing that a client chose reaches a header unless it is in a set of characters that can't end
    the header or the value it stands in.
(2) `inline` is for the types of the specification's list alone, judged by the very type that is
    sent; everything else is an attachment.
"""

import re
from typing import Final
from urllib.parse import quote

from msgspec import Struct

DEFAULT_CONTENT_TYPE: Final = "application/octet-stream"

FILE_NAME_CHARACTERS_MAX: Final = 1_000

# https://spec.matrix.org/v1.19/client-server-api/#serving-inline-content
INLINE_TYPES: Final = frozenset(
    {
        "text/css",
        "text/plain",
        "text/csv",
        "application/json",
        "application/ld+json",
        "image/jpeg",
        "image/gif",
        "image/png",
        "image/apng",
        "image/webp",
        "image/avif",
        "video/mp4",
        "video/webm",
        "video/ogg",
        "video/quicktime",
        "audio/mp4",
        "audio/webm",
        "audio/aac",
        "audio/mpeg",
        "audio/ogg",
        "audio/wave",
        "audio/wav",
        "audio/x-wav",
        "audio/x-pn-wav",
        "audio/flac",
        "audio/x-flac",
    }
)

_BLOCK_BYTES: Final = 4096

_TOKEN: Final = r"[A-Za-z0-9!#$&^_.+-]{1,127}"
_PARAMETER: Final = (
    rf"[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|\"[A-Za-z0-9!#$%&'()*+,./:;<=>?@^_`{{|}}~ -]*\")"
)
_MEDIA_TYPE: Final = re.compile(rf"({_TOKEN}/{_TOKEN})((?:{_PARAMETER})*)")

# More digits than a file has bytes are no position in it, and costly to read.
_ONE_RANGE: Final = re.compile(
    r"[ \t]*bytes[ \t]*=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE
)

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

# What a browser could read as something other than itself inside filename="…": a quote or a
# backslash ends or escapes, a percent sign is decoded by some, a slash names a folder.
_PLAIN_FILE_NAME: Final = re.compile(r"[A-Za-z0-9 !#$&'()+,.:;=@\[\]^_`{}~-]*")


def charge_of(size: int) -> int:
    """What a file of `size` bytes takes of a person's allowance: whole blocks, at least one.

    So the allowance also bounds how many files a person has, empty ones included.
    """
    assert size >= 0
    return max(1, -(-size // _BLOCK_BYTES)) * _BLOCK_BYTES


def safe_content_type(given: str | None) -> str:
    """The media type to keep: the one given where it reads as one, or else the default (1)."""
    given = (given or "").strip()
    if len(given) <= 255 and _MEDIA_TYPE.fullmatch(given):
        return given
    return DEFAULT_CONTENT_TYPE


def safe_file_name(given: str | None) -> str | None:
    """A file name without control characters and line ends; None where nothing is left of it."""
    return _CONTROLS.sub("", given or "").strip()[:FILE_NAME_CHARACTERS_MAX] or None


def content_disposition(content_type: str, file_name: str | None) -> str:
    """The header that says whether a browser may show the file, and what it is called (RFC 6266).

    A name outside plain ASCII travels as `filename*` (RFC 5987) beside a plain stand-in for clients
    that don't read it.
    """
    essence = content_type.partition(";")[0].strip().lower()
    disposition = "inline" if essence in INLINE_TYPES else "attachment"
    name = safe_file_name(file_name)
    if name is None:
        return disposition
    if _PLAIN_FILE_NAME.fullmatch(name):
        return f'{disposition}; filename="{name}"'
    plain = "".join(c if _PLAIN_FILE_NAME.fullmatch(c) else "_" for c in name)
    return f"{disposition}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def is_unchanged(if_none_match: str | None, etag: str) -> bool:
    """Does the client hold the very thing already (RFC 9110 §13.1.2, weak comparison)?"""
    if if_none_match is None:
        return False
    candidates = [c.strip().removeprefix("W/") for c in if_none_match.split(",")]
    return "*" in candidates or etag in candidates


class Span(Struct, frozen=True):
    """A part of a file, in bytes."""

    start: int
    length: int

    def content_range(self, size: int) -> str:
        """The header that says which part of how much this is (RFC 9110 §14.4)."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


def judge_range(range_: str | None, if_range: str | None, *, etag: str, size: int) -> Span | None:
    """The part of a file that a client asks for; None for the whole (RFC 9110 §14.2).

    A range that isn't understood, several at once, or one of an older version of the file
    (`If-Range`) is answered with the whole, as the RFC allows. Raises RangeOutside for one that
    begins behind the end.
    """
    match = _ONE_RANGE.fullmatch(range_ or "")
    # Nothing is kept of when a file was made: an If-Range with a date never holds, nor a weak tag.
    if match is None or size == 0 or (if_range is not None and if_range.strip() != etag):
        return None
    first, last = match[1], match[2]
    if not first:
        if not last:
            return None
        length = min(size, int(last))
        if length == 0:
            raise RangeOutside
        return Span(start=size - length, length=length)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise RangeOutside
    end = min(size, int(last) + 1) if last else size
    return Span(start=start, length=end - start)


class RangeOutside(Exception):
    """Nothing of the file lies in the range asked for."""
