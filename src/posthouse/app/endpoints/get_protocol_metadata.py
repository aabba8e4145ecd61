"""GET /_matrix/client/v3/thirdparty/protocol/{protocol}

Knows no network of that name.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyprotocolprotocol
"""

from msgspec import Struct

from posthouse.app.bridged import NotBridged
from posthouse.http import Caller, Limit, get


class Request(Struct, frozen=True):
    protocol: str


@get("/_matrix/client/v3/thirdparty/protocol/{protocol}", Limit.READS)
def get_protocol_metadata(caller: Caller, request: Request) -> None:
    raise NotBridged
