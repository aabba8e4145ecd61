"""POST /_matrix/client/v3/join/{roomIdOrAlias}

Joins a room by its id. `via` and `server_name` are taken and not needed: there is one server.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3joinroomidoralias
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, post
from posthouse.matrix import RoomId, parse_room_alias, parse_room_id
from posthouse.rooms.errors import NoSuchAlias
from posthouse.rooms.model import Reason
from posthouse.rooms.service import Rooms


class Request(Struct, frozen=True):
    room_id_or_alias: str
    reason: Reason = None


class Response(Struct, frozen=True):
    room_id: RoomId


@post("/_matrix/client/v3/join/{room_id_or_alias}", Limit.MEMBERSHIP)
async def join_room(rooms: Rooms, caller: Caller, request: Request) -> Response:
    if request.room_id_or_alias.startswith("#"):
        raise NoSuchAlias(f"{parse_room_alias(request.room_id_or_alias)} names no room.")
    room_id = parse_room_id(request.room_id_or_alias)
    await rooms.join(caller.user_id, room_id, reason=request.reason)
    return Response(room_id)
