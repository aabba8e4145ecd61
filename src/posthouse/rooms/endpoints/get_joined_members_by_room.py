"""GET /_matrix/client/v3/rooms/{roomId}/joined_members

Who is in a room that the caller is in, by which names and pictures.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidjoined_members
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, get
from posthouse.matrix import RoomId, UserId
from posthouse.rooms.views import RoomViews


class Request(Struct, frozen=True):
    room_id: RoomId


class Response(Struct, frozen=True):
    joined: dict[UserId, dict[str, str]]


@get("/_matrix/client/v3/rooms/{room_id}/joined_members", Limit.HISTORY)
async def get_joined_members_by_room(
    views: RoomViews, caller: Caller, request: Request
) -> Response:
    return Response(await views.joined_members(caller, request.room_id))
