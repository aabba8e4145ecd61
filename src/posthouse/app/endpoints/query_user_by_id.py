"""GET /_matrix/client/v3/thirdparty/user

Finds nobody in another network whom a user id stands for.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyuser
"""

from msgspec import Struct

from posthouse.app.bridged import NotBridged
from posthouse.http import Caller, Limit, get


class Request(Struct, frozen=True):
    userid: str


@get("/_matrix/client/v3/thirdparty/user", Limit.READS)
def query_user_by_id(caller: Caller, request: Request) -> None:
    raise NotBridged
