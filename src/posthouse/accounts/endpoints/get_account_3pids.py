"""GET /_matrix/client/v3/account/3pid

Lists the caller's e-mail addresses and telephone numbers: none are kept.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3account3pid
"""

from msgspec import Struct

from posthouse.http import Caller, get


class Response(Struct, frozen=True):
    threepids: tuple[str, ...] = ()


@get("/_matrix/client/v3/account/3pid")
async def get_account_3pids(caller: Caller) -> Response:
    del caller
    return Response()
