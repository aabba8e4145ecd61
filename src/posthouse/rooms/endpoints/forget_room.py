"""POST /_matrix/client/v3/rooms/{roomId}/forget

Takes a room that one has left out of one's history.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidforget
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, post
from posthouse.matrix import RoomId
from posthouse.rooms.service import Rooms


class Request(Struct, frozen=True):
    room_id: RoomId


class Response(Struct, frozen=True): ...


@post("/_matrix/client/v3/rooms/{room_id}/forget", Limit.MEMBERSHIP)
async def forget_room(rooms: Rooms, caller: Caller, request: Request) -> Response:
    await rooms.forget(caller.user_id, request.room_id)
    return Response()
