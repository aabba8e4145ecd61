"""POST /_matrix/client/v3/rooms/{roomId}/join

Joins a room that is public, or that one is invited to.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidjoin
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, post
from posthouse.matrix import RoomId
from posthouse.rooms.model import Reason
from posthouse.rooms.service import Rooms


class Request(Struct, frozen=True):
    room_id: RoomId
    reason: Reason = None


class Response(Struct, frozen=True):
    room_id: RoomId


@post("/_matrix/client/v3/rooms/{room_id}/join", Limit.MEMBERSHIP)
async def join_room_by_id(rooms: Rooms, caller: Caller, request: Request) -> Response:
    await rooms.join(caller.user_id, request.room_id, reason=request.reason)
    return Response(request.room_id)
