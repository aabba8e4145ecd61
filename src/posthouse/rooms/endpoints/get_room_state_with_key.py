"""GET /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}

One key of a room's state: its content, or with `format=event` the whole event.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidstateeventtypestatekey
"""

from typing import Annotated, Literal

from msgspec import Struct

from posthouse.http import Caller, Limit, Query, RawJson, get
from posthouse.matrix import RoomId
from posthouse.rooms.views import RoomViews

Format = Annotated[Literal["content", "event"], Query("format")]


class Request(Struct, frozen=True):
    room_id: RoomId
    event_type: str
    state_key: str
    format_: Format = "content"


@get("/_matrix/client/v3/rooms/{room_id}/state/{event_type}/{state_key}", Limit.READS)
async def get_room_state_with_key(views: RoomViews, caller: Caller, request: Request) -> RawJson:
    return RawJson(
        await views.state_event(
            caller,
            request.room_id,
            request.event_type,
            request.state_key,
            whole=request.format_ == "event",
        )
    )


class UnkeyedRequest(Struct, frozen=True):
    room_id: RoomId
    event_type: str
    format_: Format = "content"


@get("/_matrix/client/v3/rooms/{room_id}/state/{event_type}", Limit.READS)
async def get_room_state_without_key(
    views: RoomViews, caller: Caller, request: UnkeyedRequest
) -> RawJson:
    """The path without its last slash means the empty key."""
    return await get_room_state_with_key(
        views, caller, Request(request.room_id, request.event_type, "", request.format_)
    )
