"""GET /.well-known/matrix/client

Tells a client where the server of this domain answers.
https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixclient
"""

from typing import Annotated

from msgspec import Struct

from posthouse.app.discovery import Discovery
from posthouse.http import Auth, Header, RawJson, get


class Request(Struct, frozen=True):
    host: Annotated[str | None, Header("host")] = None


@get("/.well-known/matrix/client", auth=Auth.NONE)
def get_wellknown(discovery: Discovery, request: Request) -> RawJson:
    return RawJson(discovery.well_known(request.host))
