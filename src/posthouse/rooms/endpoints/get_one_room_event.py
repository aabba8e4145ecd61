"""GET /_matrix/client/v3/rooms/{roomId}/event/{eventId}

One event, if the caller may see it.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomideventeventid
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, RawJson, get
from posthouse.matrix import EventId, RoomId
from posthouse.rooms.views import RoomViews


class Request(Struct, frozen=True):
    room_id: RoomId
    event_id: EventId


@get("/_matrix/client/v3/rooms/{room_id}/event/{event_id}", Limit.READS)
async def get_one_room_event(views: RoomViews, caller: Caller, request: Request) -> RawJson:
    return RawJson(await views.event(caller, request.room_id, request.event_id))
