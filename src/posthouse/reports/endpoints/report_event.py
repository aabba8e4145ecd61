"""POST /_matrix/client/v3/rooms/{roomId}/report/{eventId}

Tells the operator of an event in a room that one is in.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidreporteventid
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, post
from posthouse.matrix import EventId, RoomId
from posthouse.reports.model import Reason
from posthouse.reports.service import Reports


class Request(Struct, frozen=True):
    room_id: RoomId
    event_id: EventId
    reason: Reason | None = None


class Response(Struct, frozen=True): ...


@post("/_matrix/client/v3/rooms/{room_id}/report/{event_id}", Limit.REPORT)
async def report_event(reports: Reports, caller: Caller, request: Request) -> Response:
    await reports.report_event(caller, request.room_id, request.event_id, request.reason or "")
    return Response()
