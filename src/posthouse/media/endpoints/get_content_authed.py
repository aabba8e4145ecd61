"""GET /_matrix/client/v1/media/download/{serverName}/{mediaId}

The bytes of an uploaded file; for anybody who is signed in and knows the URI.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid
"""

from typing import Annotated

from msgspec import Struct

from posthouse.http import Header, Limit, Reply, get
from posthouse.media.service import Media
from posthouse.media.serving import serve


class Request(Struct, frozen=True):
    server_name: str
    media_id: str
    if_none_match: Annotated[str | None, Header("if-none-match")] = None


@get("/_matrix/client/v1/media/download/{server_name}/{media_id}", Limit.DOWNLOAD)
async def get_content_authed(media: Media, request: Request) -> Reply:
    found = await media.open(request.server_name, request.media_id)
    return serve(found, file_name=None, if_none_match=request.if_none_match)
