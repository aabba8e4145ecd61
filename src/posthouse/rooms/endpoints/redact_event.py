"""PUT /_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}

Takes away what an event said, for everybody and for good.
https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidredacteventidtxnid
"""

from typing import Annotated

from msgspec import Meta, Struct

from posthouse.http import Caller, Limit, put
from posthouse.matrix import EventId, RoomId
from posthouse.rooms.model import Reason
from posthouse.rooms.service import Rooms


class Request(Struct, frozen=True):
    room_id: RoomId
    event_id: EventId
    txn_id: Annotated[str, Meta(min_length=1, max_length=255)]
    reason: Reason = None


class Response(Struct, frozen=True):
    event_id: EventId


@put("/_matrix/client/v3/rooms/{room_id}/redact/{event_id}/{txn_id}", Limit.SEND)
async def redact_event(rooms: Rooms, caller: Caller, request: Request) -> Response:
    return Response(
        await rooms.redact(
            caller.user_id,
            caller.device_id,
            request.room_id,
            request.event_id,
            request.reason,
            request.txn_id,
        )
    )
