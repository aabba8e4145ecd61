"""GET /_matrix/client/v3/joined_rooms

The rooms that the caller is in.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3joined_rooms
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, get
from posthouse.matrix import RoomId
from posthouse.rooms.views import RoomViews


class Response(Struct, frozen=True):
    joined_rooms: list[RoomId]


@get("/_matrix/client/v3/joined_rooms", Limit.READS)
async def get_joined_rooms(views: RoomViews, caller: Caller) -> Response:
    return Response(await views.joined_rooms(caller.user_id))
