"""GET /_matrix/client/v3/thirdparty/location

Finds no place in another network that a room alias stands for.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartylocation
"""

from msgspec import Struct

from posthouse.app.bridged import NotBridged
from posthouse.http import Caller, Limit, get


class Request(Struct, frozen=True):
    alias: str


@get("/_matrix/client/v3/thirdparty/location", Limit.READS)
def query_location_by_alias(caller: Caller, request: Request) -> None:
    raise NotBridged
