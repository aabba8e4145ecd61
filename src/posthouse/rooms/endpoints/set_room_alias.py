"""PUT /_matrix/client/v3/directory/room/{roomAlias}

Gives a room that one is in one more name. 409 where the name is taken.
https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3directoryroomroomalias
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, put
from posthouse.matrix import RoomAlias, RoomId
from posthouse.rooms.naming import RoomNames


class Request(Struct, frozen=True):
    room_alias: RoomAlias
    room_id: RoomId


class Response(Struct, frozen=True): ...


@put("/_matrix/client/v3/directory/room/{room_alias}", Limit.ACCOUNT_DATA)
async def set_room_alias(names: RoomNames, caller: Caller, request: Request) -> Response:
    await names.name(caller, request.room_id, request.room_alias)
    return Response()
