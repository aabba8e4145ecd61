"""GET /_matrix/client/v3/voip/turnServer

Answers that there is none: calls go another way, on which the call policy holds.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3voipturnserver
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, get


class Response(Struct, frozen=True): ...


@get("/_matrix/client/v3/voip/turnServer", Limit.CALLS)
def get_turn_server(caller: Caller) -> Response:
    return Response()
