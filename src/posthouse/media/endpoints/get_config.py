"""GET /_matrix/media/v3/config

How large an upload may be, by the path from before v1.11: js-sdk still asks here.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixmediav3config
"""

from posthouse.http import Limit, get
from posthouse.media.endpoints.get_config_authed import Response
from posthouse.media.service import Media


@get("/_matrix/media/v3/config", Limit.READS)
async def get_config(media: Media) -> Response:
    return Response(upload_bytes_max=media.upload_bytes_max)
