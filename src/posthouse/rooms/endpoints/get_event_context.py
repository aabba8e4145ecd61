"""GET /_matrix/client/v3/rooms/{roomId}/context/{eventId}

An event with what was written just before and after it, and the state at the last of these.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidcontexteventid
"""

from typing import Annotated

from msgspec import Meta, Struct

from posthouse.accounts import parse_history_filter
from posthouse.http import Caller, Limit, RawJson, get
from posthouse.matrix import EventId, RoomId
from posthouse.rooms.views import EVERY_EVENT, RoomViews


class Request(Struct, frozen=True):
    room_id: RoomId
    event_id: EventId
    limit: Annotated[int, Meta(ge=0)] | None = None
    filter: str | None = None


@get("/_matrix/client/v3/rooms/{room_id}/context/{event_id}", Limit.HISTORY)
async def get_event_context(views: RoomViews, caller: Caller, request: Request) -> RawJson:
    wanted = parse_history_filter(request.filter) if request.filter else EVERY_EVENT
    return RawJson(
        await views.context(caller, request.room_id, request.event_id, request.limit, wanted)
    )
