"""POST /_matrix/client/v3/rooms/{roomId}/invite

Invites somebody by their user id.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidinvite
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, post
from posthouse.matrix import MissingParam, RoomId, parse_user_id
from posthouse.rooms.errors import NoThirdPartyInvites
from posthouse.rooms.model import Reason
from posthouse.rooms.service import Rooms


class Request(Struct, frozen=True):
    room_id: RoomId
    user_id: str | None = None
    address: str | None = None
    """Of the form that invites by e-mail address or phone number, on the same path."""
    reason: Reason = None


class Response(Struct, frozen=True): ...


@post("/_matrix/client/v3/rooms/{room_id}/invite", Limit.MEMBERSHIP)
async def invite_user(rooms: Rooms, caller: Caller, request: Request) -> Response:
    if request.user_id is None:
        if request.address is not None:
            raise NoThirdPartyInvites()
        raise MissingParam("user_id names who is invited.")
    target = parse_user_id(request.user_id)
    await rooms.invite(caller.user_id, request.room_id, target, reason=request.reason)
    return Response()
