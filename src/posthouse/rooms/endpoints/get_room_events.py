"""GET /_matrix/client/v3/rooms/{roomId}/messages

A page of a room's history, from a token on in either direction. Without `end` there is no more.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from posthouse.accounts import parse_history_filter
from posthouse.http import Caller, Limit, Query, RawJson, get
from posthouse.matrix import RoomId
from posthouse.rooms.views import EVERY_EVENT, PageWish, RoomViews


class Request(Struct, frozen=True):
    room_id: RoomId
    direction: Annotated[Literal["b", "f"], Query("dir")]
    start: Annotated[str | None, Query("from")] = None
    stop: Annotated[str | None, Query("to")] = None
    limit: Annotated[int, Meta(ge=0)] | None = None
    filter: str | None = None


@get("/_matrix/client/v3/rooms/{room_id}/messages", Limit.HISTORY)
async def get_room_events(views: RoomViews, caller: Caller, request: Request) -> RawJson:
    wish = PageWish(
        backwards=request.direction == "b",
        start=request.start or None,
        stop=request.stop or None,
        limit=request.limit,
        wanted=parse_history_filter(request.filter) if request.filter else EVERY_EVENT,
    )
    return RawJson(await views.messages(caller, request.room_id, wish))
