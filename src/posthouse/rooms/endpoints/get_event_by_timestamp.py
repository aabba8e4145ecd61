"""GET /_matrix/client/v1/rooms/{roomId}/timestamp_to_event

The event nearest to a time, of those that the caller sees.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidtimestamp_to_event
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from posthouse.http import Caller, Limit, Query, get
from posthouse.matrix import INTEGER_MAX, EventId, RoomId
from posthouse.rooms.views import RoomViews


class Request(Struct, frozen=True):
    room_id: RoomId
    ts: Annotated[int, Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)]
    direction: Annotated[Literal["f", "b"], Query("dir")]


class Response(Struct, frozen=True):
    event_id: EventId
    origin_server_ts: int


@get("/_matrix/client/v1/rooms/{room_id}/timestamp_to_event", Limit.READS)
async def get_event_by_timestamp(views: RoomViews, caller: Caller, request: Request) -> Response:
    backwards = request.direction == "b"
    return Response(
        *await views.event_at_time(caller, request.room_id, request.ts, backwards=backwards)
    )
