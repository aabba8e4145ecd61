"""GET /_matrix/client/v1/media/config

How large an upload may be.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediaconfig
"""

from msgspec import Struct, field

from posthouse.http import Limit, get
from posthouse.media.service import Media


class Response(Struct, frozen=True):
    upload_bytes_max: int = field(name="m.upload.size")


@get("/_matrix/client/v1/media/config", Limit.READS)
async def get_config_authed(media: Media) -> Response:
    return Response(upload_bytes_max=media.upload_bytes_max)
