"""GET /_matrix/client/v3/thirdparty/location/{protocol}

Finds no room of another network: there are no bridges.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartylocationprotocol
"""

from msgspec import Struct

from posthouse.app.bridged import NotBridged
from posthouse.http import Caller, Limit, get


class Request(Struct, frozen=True):
    protocol: str


@get("/_matrix/client/v3/thirdparty/location/{protocol}", Limit.READS)
def query_location_by_protocol(caller: Caller, request: Request) -> None:
    raise NotBridged
