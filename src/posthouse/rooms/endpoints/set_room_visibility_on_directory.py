"""PUT /_matrix/client/v3/directory/list/room/{roomId}

Puts a room into the public directory or takes it out: whoever may say what it is called.
https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3directorylistroomroomid
"""

from typing import Literal

from msgspec import Struct

from posthouse.http import Caller, Limit, put
from posthouse.matrix import RoomId
from posthouse.rooms.naming import RoomNames


class Request(Struct, frozen=True):
    room_id: RoomId
    visibility: Literal["public", "private"] = "public"


class Response(Struct, frozen=True): ...


@put("/_matrix/client/v3/directory/list/room/{room_id}", Limit.ACCOUNT_DATA)
async def set_room_visibility_on_directory(
    names: RoomNames, caller: Caller, request: Request
) -> Response:
    published = request.visibility == "public"
    await names.set_published(caller, request.room_id, published=published)
    return Response()
