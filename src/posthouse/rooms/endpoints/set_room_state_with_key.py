"""PUT /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}

Sets a piece of the room's state.
https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidstateeventtypestatekey
"""

from typing import Annotated

from msgspec import Struct

from posthouse.http import Caller, Limit, Query, RawBody, put
from posthouse.matrix import EventId, RoomId, parse_json_object
from posthouse.rooms.endpoints.send_message import BODY_BYTES_MAX
from posthouse.rooms.errors import NoDelayedEvents
from posthouse.rooms.service import Rooms


class Request(Struct, frozen=True):
    room_id: RoomId
    event_type: str
    body: Annotated[bytes, RawBody()]
    state_key: str = ""
    delay: Annotated[str | None, Query("org.matrix.msc4140.delay")] = None
    delayed_with: Annotated[str | None, Query("org.matrix.msc4140.parent_delay_id")] = None


class Response(Struct, frozen=True):
    event_id: EventId


@put(
    "/_matrix/client/v3/rooms/{room_id}/state/{event_type}/{state_key}",
    Limit.SEND,
    body_limit=BODY_BYTES_MAX,
)
async def set_room_state_with_key(rooms: Rooms, caller: Caller, request: Request) -> Response:
    if request.delay is not None or request.delayed_with is not None:
        raise NoDelayedEvents()
    return Response(
        await rooms.set_state(
            caller.user_id,
            request.room_id,
            request.event_type,
            request.state_key,
            parse_json_object(request.body),
        )
    )


class UnkeyedRequest(Struct, frozen=True):
    room_id: RoomId
    event_type: str
    body: Annotated[bytes, RawBody()]
    delay: Annotated[str | None, Query("org.matrix.msc4140.delay")] = None
    delayed_with: Annotated[str | None, Query("org.matrix.msc4140.parent_delay_id")] = None


@put(
    "/_matrix/client/v3/rooms/{room_id}/state/{event_type}",
    Limit.SEND,
    body_limit=BODY_BYTES_MAX,
)
async def set_room_state(rooms: Rooms, caller: Caller, request: UnkeyedRequest) -> Response:
    """The same with the empty state key, whose slash may be left out."""
    keyed = Request(
        request.room_id,
        request.event_type,
        request.body,
        delay=request.delay,
        delayed_with=request.delayed_with,
    )
    return await set_room_state_with_key(rooms, caller, keyed)
