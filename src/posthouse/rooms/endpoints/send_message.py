"""PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}

Sends a message event, once for each transaction id.
https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid
"""

from typing import Annotated

from msgspec import Meta, Struct

from posthouse.http import Caller, Limit, Query, RawBody, put
from posthouse.matrix import EventId, RoomId, parse_json_object
from posthouse.rooms.errors import NoDelayedEvents
from posthouse.rooms.service import Rooms

BODY_BYTES_MAX = 131_072
"""Twice an event: what is too large as an event says so, what is larger isn't read."""


class Request(Struct, frozen=True):
    room_id: RoomId
    event_type: str
    txn_id: Annotated[str, Meta(min_length=1, max_length=255)]
    body: Annotated[bytes, RawBody()]
    delay: Annotated[str | None, Query("org.matrix.msc4140.delay")] = None
    delayed_with: Annotated[str | None, Query("org.matrix.msc4140.parent_delay_id")] = None


class Response(Struct, frozen=True):
    event_id: EventId


@put(
    "/_matrix/client/v3/rooms/{room_id}/send/{event_type}/{txn_id}",
    Limit.SEND,
    body_limit=BODY_BYTES_MAX,
)
async def send_message(rooms: Rooms, caller: Caller, request: Request) -> Response:
    if request.delay is not None or request.delayed_with is not None:
        raise NoDelayedEvents()
    content = parse_json_object(request.body)
    return Response(
        await rooms.send(
            caller.user_id,
            caller.device_id,
            request.room_id,
            request.event_type,
            content,
            request.txn_id,
        )
    )
