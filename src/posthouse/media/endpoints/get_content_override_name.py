"""GET /_matrix/media/v3/download/{serverName}/{mediaId}/{fileName}

The bytes of an uploaded file, under the name that the caller gives it, by the path from before v1.11.

All media here is from after the freeze: who sends no token learns nothing, who sends one is served,
because some clients still ask here (service workers that fail, older libraries).
https://spec.matrix.org/v1.19/client-server-api/#get_matrixmediav3downloadservernamemediaidfilename
"""

from msgspec import Struct

from posthouse.http import Auth, Caller, Limit, Reply, get
from posthouse.media.errors import NoSuchMedia
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


@get(
    "/_matrix/media/v3/download/{server_name}/{media_id}/{file_name}",
    Limit.DOWNLOAD,
    auth=Auth.OPTIONAL,
)
async def get_content_override_name(media: Media, caller: Caller | None, request: Request) -> Reply:
    if caller is None:
        raise NoSuchMedia
    found = await media.open(request.server_name, request.media_id, wait_ms=request.timeout_ms)
    asked = Asked(request.if_none_match, request.range, request.if_range)
    return serve(found, asked, file_name=request.file_name)
