"""GET /_matrix/media/v3/thumbnail/{serverName}/{mediaId}

A small version of an uploaded picture, by the path from before v1.11.

All media here is from after the freeze: who sends no token learns nothing, who sends one is served,
because some clients still ask here (service workers that fail, older libraries).
https://spec.matrix.org/v1.19/client-server-api/#get_matrixmediav3thumbnailservernamemediaid
"""

from posthouse.http import Auth, Caller, Limit, Reply, get
from posthouse.media.endpoints.get_content_thumbnail_authed import (
    Request,
    get_content_thumbnail_authed,
)
from posthouse.media.errors import NoSuchMedia
from posthouse.media.service import Media


@get("/_matrix/media/v3/thumbnail/{server_name}/{media_id}", Limit.DOWNLOAD, auth=Auth.OPTIONAL)
async def get_content_thumbnail(media: Media, caller: Caller | None, request: Request) -> Reply:
    if caller is None:
        raise NoSuchMedia
    return await get_content_thumbnail_authed(media, caller, request)
