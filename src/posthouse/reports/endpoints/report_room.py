"""POST /_matrix/client/v3/rooms/{roomId}/report

Tells the operator of a room.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidreport
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, post
from posthouse.matrix import RoomId
from posthouse.reports.model import Reason
from posthouse.reports.service import Reports


class Request(Struct, frozen=True):
    room_id: RoomId
    reason: Reason


class Response(Struct, frozen=True): ...


@post("/_matrix/client/v3/rooms/{room_id}/report", Limit.REPORT)
async def report_room(reports: Reports, caller: Caller, request: Request) -> Response:
    await reports.report_room(caller.user_id, request.room_id, request.reason)
    return Response()
