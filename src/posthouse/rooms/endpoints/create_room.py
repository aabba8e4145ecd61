"""POST /_matrix/client/v3/createRoom

A new room with its name, its first events and invites, all of them or nothing.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from posthouse.http import Caller, Limit, post
from posthouse.matrix import RoomId, UserId, parse_user_id
from posthouse.rooms.creation import StateGiven, Wish
from posthouse.rooms.errors import NoThirdPartyInvites
from posthouse.rooms.service import Rooms


class Request(Struct, frozen=True):
    visibility: Literal["public", "private"] = "private"
    preset: Literal["private_chat", "public_chat", "trusted_private_chat"] | None = None
    room_alias_name: str | None = None
    name: Annotated[str, Meta(max_length=512)] | None = None
    topic: Annotated[str, Meta(max_length=4096)] | None = None
    invite: Annotated[tuple[str, ...], Meta(max_length=1000)] = ()
    invite_3pid: tuple[dict[str, Any], ...] = ()
    room_version: str | None = None
    creation_content: dict[str, Any] = {}
    initial_state: Annotated[tuple[StateGiven, ...], Meta(max_length=100)] = ()
    is_direct: bool = False
    power_level_content_override: dict[str, Any] = {}


class Response(Struct, frozen=True):
    room_id: RoomId


@post("/_matrix/client/v3/createRoom", Limit.CREATE_ROOM)
async def create_room(rooms: Rooms, caller: Caller, request: Request) -> Response:
    if request.invite_3pid:
        raise NoThirdPartyInvites()
    default = "public_chat" if request.visibility == "public" else "private_chat"
    wish = Wish(
        preset=request.preset or default,
        is_direct=request.is_direct,
        name=request.name,
        topic=request.topic,
        invite=[UserId(parse_user_id(user)) for user in request.invite],
        initial_state=request.initial_state,
        creation_content=request.creation_content,
        power_levels=request.power_level_content_override,
        alias_name=request.room_alias_name or None,
        is_published=request.visibility == "public",
    )
    return Response(await rooms.create(caller.user_id, wish, request.room_version))
