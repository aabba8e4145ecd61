"""POST /_matrix/media/v1/create

Gives an mxc URI before its content: a client may send the event and the file at the same time.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav1create
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, post
from posthouse.matrix import MxcUri
from posthouse.media.service import Media


class Response(Struct, frozen=True):
    content_uri: MxcUri
    unused_expires_at: int


@post("/_matrix/media/v1/create", Limit.UPLOAD)
async def create_content(media: Media, caller: Caller) -> Response:
    uri, expires_ms = await media.announce(caller.user_id)
    return Response(content_uri=uri, unused_expires_at=expires_ms)
