"""GET /_matrix/client/v3/publicRooms

A page of the rooms that were published, the largest first.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3publicrooms
"""

from msgspec import Struct

from posthouse.directory.service import Directory
from posthouse.http import Auth, Limit, RawJson, get


class Request(Struct, frozen=True):
    limit: int | None = None
    since: str | None = None
    server: str | None = None


@get("/_matrix/client/v3/publicRooms", Limit.SEARCH, auth=Auth.NONE)
async def get_public_rooms(directory: Directory, request: Request) -> RawJson:
    return RawJson(
        await directory.public_rooms(
            server=request.server, limit=request.limit, since=request.since
        )
    )
