"""GET /_matrix/client/v3/directory/list/room/{roomId}

Whether a room is in the public directory. A room that isn't there answers as one that isn't
published: it is nobody's to know which rooms there are.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3directorylistroomroomid
"""

from typing import Literal

from msgspec import Struct

from posthouse.http import Auth, Limit, get
from posthouse.matrix import RoomId
from posthouse.rooms.naming import RoomNames


class Request(Struct, frozen=True):
    room_id: RoomId


class Response(Struct, frozen=True):
    visibility: Literal["public", "private"]


@get("/_matrix/client/v3/directory/list/room/{room_id}", Limit.READS, auth=Auth.NONE)
async def get_room_visibility_on_directory(names: RoomNames, request: Request) -> Response:
    return Response("public" if await names.is_published(request.room_id) else "private")
