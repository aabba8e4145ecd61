"""PUT /_matrix/client/v3/rooms/{roomId}/typing/{userId}

Says that the caller types, or has stopped.
https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidtypinguserid
"""

from typing import Annotated

from msgspec import Meta, Struct

from posthouse.http import Caller, Limit, put
from posthouse.matrix import Forbidden, RoomId, UserId
from posthouse.rooms.service import Rooms
from posthouse.rooms.typing import TypingNotices

TIMEOUT_MS_DEFAULT = 30_000


class Request(Struct, frozen=True):
    room_id: RoomId
    user_id: UserId
    typing: bool
    timeout: Annotated[int, Meta(ge=0)] = TIMEOUT_MS_DEFAULT


class Response(Struct, frozen=True): ...


@put("/_matrix/client/v3/rooms/{room_id}/typing/{user_id}", Limit.TYPING)
async def set_typing(
    rooms: Rooms, notices: TypingNotices, caller: Caller, request: Request
) -> Response:
    if request.user_id != caller.user_id:
        raise Forbidden("Nobody types for somebody else.")
    await rooms.check_joined(caller.user_id, request.room_id)
    if request.typing:
        notices.start(request.room_id, caller.user_id, request.timeout)
    else:
        notices.stop(request.room_id, caller.user_id)
    return Response()
