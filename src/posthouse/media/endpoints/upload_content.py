"""POST /_matrix/media/v3/upload

Keeps a file, streamed from the client to the disk, and answers with its mxc URI once it's durable.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav3upload
"""

from typing import Annotated

from msgspec import Struct

from posthouse.http import UNBOUNDED, BodyStream, Caller, Header, Limit, Query, RawBody, post
from posthouse.matrix import MxcUri
from posthouse.media.service import Media


class Request(Struct, frozen=True):
    body: Annotated[BodyStream, RawBody()]
    content_type: Annotated[str | None, Header("content-type")] = None
    filename: Annotated[str | None, Query()] = None


class Response(Struct, frozen=True):
    content_uri: MxcUri


@post("/_matrix/media/v3/upload", Limit.UPLOAD, body_limit=UNBOUNDED)
async def upload_content(media: Media, caller: Caller, request: Request) -> Response:
    uri = await media.upload(
        caller.user_id,
        request.body,
        content_type=request.content_type,
        file_name=request.filename,
        length=request.body.length,
    )
    return Response(content_uri=uri)
