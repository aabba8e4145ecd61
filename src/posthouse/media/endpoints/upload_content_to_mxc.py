"""PUT /_matrix/media/v3/upload/{serverName}/{mediaId}

Sends the content of an mxc URI that was created before, once.
https://spec.matrix.org/v1.19/client-server-api/#put_matrixmediav3uploadservernamemediaid
"""

from typing import Annotated

from msgspec import Struct

from posthouse.http import UNBOUNDED, BodyStream, Caller, Header, Limit, Query, RawBody, put
from posthouse.media.service import Media


class Request(Struct, frozen=True):
    server_name: str
    media_id: str
    body: Annotated[BodyStream, RawBody()]
    content_type: Annotated[str | None, Header("content-type")] = None
    filename: Annotated[str | None, Query()] = None


class Response(Struct, frozen=True): ...


@put("/_matrix/media/v3/upload/{server_name}/{media_id}", Limit.UPLOAD, body_limit=UNBOUNDED)
async def upload_content_to_mxc(media: Media, caller: Caller, request: Request) -> Response:
    await media.upload_announced(
        caller.user_id,
        request.server_name,
        request.media_id,
        request.body,
        content_type=request.content_type,
        file_name=request.filename,
        length=request.body.length,
    )
    return Response()
