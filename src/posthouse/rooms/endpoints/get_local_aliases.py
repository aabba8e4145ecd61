"""GET /_matrix/client/v3/rooms/{roomId}/aliases

All names of a room on this server, for who is in it, or for everybody where the world may read it.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidaliases
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, get
from posthouse.matrix import RoomAlias, RoomId
from posthouse.rooms.naming import RoomNames


class Request(Struct, frozen=True):
    room_id: RoomId


class Response(Struct, frozen=True):
    aliases: list[RoomAlias]


@get("/_matrix/client/v3/rooms/{room_id}/aliases", Limit.READS)
async def get_local_aliases(names: RoomNames, caller: Caller, request: Request) -> Response:
    return Response(await names.aliases(caller, request.room_id))
