"""GET /_matrix/client/v3/directory/room/{roomAlias}

Says which room a name leads to. Names of other servers lead nowhere: there is no federation.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3directoryroomroomalias
"""

from msgspec import Struct

from posthouse.directory.service import Directory
from posthouse.http import Auth, Limit, get
from posthouse.matrix import RoomAlias, RoomId, ServerName


class Request(Struct, frozen=True):
    room_alias: RoomAlias


class Response(Struct, frozen=True):
    room_id: RoomId
    servers: tuple[ServerName, ...]


@get("/_matrix/client/v3/directory/room/{room_alias}", Limit.READS, auth=Auth.NONE)
async def get_room_id_by_alias(directory: Directory, request: Request) -> Response:
    return Response(await directory.room_of(request.room_alias), (directory.server_name,))
