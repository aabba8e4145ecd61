"""GET /_matrix/client/v3/rooms/{roomId}/state

The whole state of a room: as of now for its members, as of their leaving for former ones.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidstate
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, RawJson, get
from posthouse.matrix import RoomId
from posthouse.rooms.views import RoomViews


class Request(Struct, frozen=True):
    room_id: RoomId


@get("/_matrix/client/v3/rooms/{room_id}/state", Limit.HISTORY)
async def get_room_state(views: RoomViews, caller: Caller, request: Request) -> RawJson:
    return RawJson(await views.state(caller, request.room_id))
