"""POST /_matrix/client/v3/rooms/{roomId}/leave

Leaves a room, or rejects an invite.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidleave
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, post
from posthouse.matrix import RoomId
from posthouse.rooms.model import Reason
from posthouse.rooms.service import Rooms


class Request(Struct, frozen=True):
    room_id: RoomId
    reason: Reason = None


class Response(Struct, frozen=True): ...


@post("/_matrix/client/v3/rooms/{room_id}/leave", Limit.MEMBERSHIP)
async def leave_room(rooms: Rooms, caller: Caller, request: Request) -> Response:
    await rooms.leave(caller.user_id, request.room_id, reason=request.reason)
    return Response()
