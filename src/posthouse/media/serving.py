"""How a stored thing is answered: the headers that make it safe to open, and its bytes."""

from types import MappingProxyType
from typing import Annotated, Final

from msgspec import Meta, Struct

from posthouse.http import FileBody, Header, Query, Reply, encode_json
from posthouse.matrix import ErrCode
from posthouse.media import rules
from posthouse.media.model import StoredMedia
from posthouse.media.service import OpenMedia
from posthouse.media.sizes import Variant
from posthouse.media.thumbnails import Thumbnail

# What comes from a stranger may be a page with a script in it. The policy is the specification's
# (https://spec.matrix.org/v1.19/client-server-api/#content-repository); `nosniff` keeps a browser
# from finding another type in the bytes than the one that was judged.
_SAFETY: Final = MappingProxyType(
    {
        "Content-Security-Policy": (
            "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; "
            "style-src 'unsafe-inline'; object-src 'self';"
        ),
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Referrer-Policy": "no-referrer",
        # One URI stands for the same bytes for ever, and only for who is signed in.
        "Cache-Control": "private, max-age=31536000, immutable",
    }
)


WAIT_MS: Final = 20_000
"""How long a download of what was announced waits where the client doesn't say."""

WaitMs = Annotated[int, Meta(ge=0), Query("timeout_ms")]
IfNoneMatch = Annotated[str | None, Header("if-none-match")]
Range = Annotated[str | None, Header("range")]
IfRange = Annotated[str | None, Header("if-range")]


class Asked(Struct, frozen=True):
    """What a client says about the bytes that it wants: the headers of RFC 9110 §13 and §14."""

    if_none_match: str | None = None
    range: str | None = None
    if_range: str | None = None


def serve(found: OpenMedia, asked: Asked, *, file_name: str | None = None) -> Reply:
    """The file, or what the client lacks of it. `file_name` overrides the stored one."""
    media = found.media
    disposition = rules.content_disposition(media.content_type, file_name or media.file_name)
    return _answer(
        FileBody(found.path, 0, media.content.size),
        asked,
        etag=f'"{media.content.hash.hex()}"',
        content_type=media.content_type,
        disposition=disposition,
    )


def serve_thumbnail(
    media: StoredMedia, thumbnail: Thumbnail, variant: Variant, asked: Asked
) -> Reply:
    """A thumbnail: of a type that we chose, under a name that says no more than that."""
    subtype = thumbnail.content_type.value.removeprefix("image/")
    return _answer(
        FileBody(thumbnail.path, 0, thumbnail.size),
        asked,
        # Another version of the encoder may make other bytes of the same length: the length is
        # no proof, but what a client puts together from two of them is a picture all the same.
        etag=f'"{media.content.hash.hex()}-{variant.name}-{thumbnail.size}"',
        content_type=thumbnail.content_type.value,
        disposition=f'inline; filename="thumbnail.{subtype}"',
    )


def _answer(
    body: FileBody, asked: Asked, *, etag: str, content_type: str, disposition: str
) -> Reply:
    headers = {**_SAFETY, "ETag": etag}
    if rules.is_unchanged(asked.if_none_match, etag):
        return Reply(status=304, headers=headers)
    headers["Accept-Ranges"] = "bytes"
    try:
        span = rules.judge_range(asked.range, asked.if_range, etag=etag, size=body.length)
    except rules.RangeOutside:
        return _outside(body.length)
    headers["Content-Type"] = content_type
    headers["Content-Disposition"] = disposition
    if span is None:
        return Reply(headers=headers, body=body)
    headers["Content-Range"] = span.content_range(body.length)
    return Reply(status=206, headers=headers, body=FileBody(body.path, span.start, span.length))


def _outside(size: int) -> Reply:
    """416: nothing of the file lies in the range; the header says how long it is."""
    error = {"errcode": ErrCode.INVALID_PARAM, "error": "The file ends before this range."}
    headers = {"Content-Range": f"bytes */{size}", "Content-Type": "application/json"}
    return Reply(status=416, headers=headers, body=encode_json(error))
