"""POST /_matrix/client/v3/rooms/{roomId}/kick

Takes somebody out of a room.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidkick
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, post
from posthouse.matrix import RoomId, parse_user_id
from posthouse.rooms.model import Reason
from posthouse.rooms.service import Rooms


class Request(Struct, frozen=True):
    room_id: RoomId
    user_id: str
    reason: Reason = None


class Response(Struct, frozen=True): ...


@post("/_matrix/client/v3/rooms/{room_id}/kick", Limit.MEMBERSHIP)
async def kick(rooms: Rooms, caller: Caller, request: Request) -> Response:
    await rooms.kick(
        caller.user_id, request.room_id, parse_user_id(request.user_id), reason=request.reason
    )
    return Response()
