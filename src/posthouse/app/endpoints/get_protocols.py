"""GET /_matrix/client/v3/thirdparty/protocols

Lists the networks that this server bridges to: none.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyprotocols
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, get


class Response(Struct, frozen=True): ...


@get("/_matrix/client/v3/thirdparty/protocols", Limit.READS)
def get_protocols(caller: Caller) -> Response:
    return Response()
