"""DELETE /_matrix/client/v3/directory/room/{roomAlias}

Takes a name away: whoever gave it may, and whoever may say what the room is called.
https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3directoryroomroomalias
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, delete
from posthouse.matrix import RoomAlias
from posthouse.rooms.naming import RoomNames


class Request(Struct, frozen=True):
    room_alias: RoomAlias


class Response(Struct, frozen=True): ...


@delete("/_matrix/client/v3/directory/room/{room_alias}", Limit.ACCOUNT_DATA)
async def delete_room_alias(names: RoomNames, caller: Caller, request: Request) -> Response:
    await names.unname(caller, request.room_alias)
    return Response()
