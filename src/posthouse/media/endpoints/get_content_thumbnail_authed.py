"""GET /_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}

A small version of an uploaded picture; for anybody who is signed in and knows the URI.

It is always one that was made here, also of a picture that is smaller than what was asked: what is
shown in place is of a type that we chose, and carries none of the picture's metadata.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediathumbnailservernamemediaid
"""

from typing import Annotated

from msgspec import Meta, Struct

from posthouse.http import Caller, Limit, Reply, get
from posthouse.media.service import Media
from posthouse.media.serving import (
    WAIT_MS,
    Asked,
    IfNoneMatch,
    IfRange,
    Range,
    WaitMs,
    serve_thumbnail,
)
from posthouse.media.sizes import Method, variant_for

Side = Annotated[int, Meta(ge=1)]


class Request(Struct, frozen=True):
    server_name: str
    media_id: str
    width: Side
    height: Side
    method: Method = Method.SCALE
    animated: bool = False
    timeout_ms: WaitMs = WAIT_MS
    if_none_match: IfNoneMatch = None
    range: Range = None
    if_range: IfRange = None


@get("/_matrix/client/v1/media/thumbnail/{server_name}/{media_id}", Limit.DOWNLOAD)
async def get_content_thumbnail_authed(media: Media, caller: Caller, request: Request) -> Reply:
    variant = variant_for(request.width, request.height, request.method, animated=request.animated)
    found, thumbnail = await media.thumbnail(
        caller.user_id,
        request.server_name,
        request.media_id,
        variant,
        wait_ms=request.timeout_ms,
    )
    asked = Asked(request.if_none_match, request.range, request.if_range)
    return serve_thumbnail(found, thumbnail, variant, asked)
