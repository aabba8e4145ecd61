"""GET /_matrix/client/v1/media/download/{serverName}/{mediaId}/{fileName}

The bytes of an uploaded file, under the name that the caller gives it; for anybody who is signed in and knows the URI.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediadownloadservernamemediaidfilename
"""

from msgspec import Struct

from posthouse.http import Limit, Reply, get
from posthouse.media.service import Media
from posthouse.media.serving import WAIT_MS, Asked, IfNoneMatch, IfRange, Range, WaitMs, serve


class Request(Struct, frozen=True):
    server_name: str
    media_id: str
    file_name: str
    timeout_ms: WaitMs = WAIT_MS
    if_none_match: IfNoneMatch = None
    range: Range = None
    if_range: IfRange = None


@get("/_matrix/client/v1/media/download/{server_name}/{media_id}/{file_name}", Limit.DOWNLOAD)
async def get_content_override_name_authed(media: Media, request: Request) -> Reply:
    found = await media.open(request.server_name, request.media_id, wait_ms=request.timeout_ms)
    asked = Asked(request.if_none_match, request.range, request.if_range)
    return serve(found, asked, file_name=request.file_name)
