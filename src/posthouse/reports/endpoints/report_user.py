"""POST /_matrix/client/v3/users/{userId}/report

Tells the operator of a person.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3usersuseridreport
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, post
from posthouse.matrix import UserId
from posthouse.reports.model import Reason
from posthouse.reports.service import Reports


class Request(Struct, frozen=True):
    user_id: UserId
    reason: Reason


class Response(Struct, frozen=True): ...


@post("/_matrix/client/v3/users/{user_id}/report", Limit.REPORT)
async def report_user(reports: Reports, caller: Caller, request: Request) -> Response:
    await reports.report_person(caller.user_id, request.user_id, request.reason)
    return Response()
