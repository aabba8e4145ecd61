"""POST /_matrix/client/v3/join/{roomIdOrAlias}

Joins a room by its id or a name of it. `via` and `server_name` are taken and not needed: there is one server.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3joinroomidoralias
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, post
from posthouse.matrix import RoomId
from posthouse.rooms.model import Reason
from posthouse.rooms.naming import RoomNames
from posthouse.rooms.service import Rooms


class Request(Struct, frozen=True):
    room_id_or_alias: str
    reason: Reason = None


class Response(Struct, frozen=True):
    room_id: RoomId


@post("/_matrix/client/v3/join/{room_id_or_alias}", Limit.MEMBERSHIP)
async def join_room(rooms: Rooms, names: RoomNames, caller: Caller, request: Request) -> Response:
    room_id = await names.room_named(request.room_id_or_alias)
    await rooms.join(caller.user_id, room_id, reason=request.reason)
    return Response(room_id)
