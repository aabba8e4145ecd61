"""POST /_matrix/client/v3/rooms/{roomId}/upgrade

Replaces a room by a new one of another version, to which its names and settings go over.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidupgrade
"""

from typing import Annotated

from msgspec import Meta, Struct

from posthouse.http import Caller, Limit, post
from posthouse.matrix import RoomId
from posthouse.rooms.upgrading import Upgrades


class Request(Struct, frozen=True):
    room_id: RoomId
    new_version: str
    additional_creators: Annotated[tuple[str, ...], Meta(max_length=100)] = ()


class Response(Struct, frozen=True):
    replacement_room: RoomId


@post("/_matrix/client/v3/rooms/{room_id}/upgrade", Limit.CREATE_ROOM)
async def upgrade_room(upgrades: Upgrades, caller: Caller, request: Request) -> Response:
    return Response(
        await upgrades.upgrade(
            caller.user_id, request.room_id, request.new_version, request.additional_creators
        )
    )
