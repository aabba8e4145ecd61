"""GET /.well-known/matrix/server

Tells another service where this domain's federation endpoints answer.
https://spec.matrix.org/v1.19/server-server-api/#getwell-knownmatrixserver
"""

from typing import Annotated

from msgspec import Struct, field

from posthouse.app.discovery import Discovery
from posthouse.http import Auth, Header, get


class Request(Struct, frozen=True):
    host: Annotated[str | None, Header("host")] = None


class Response(Struct, frozen=True):
    address: str = field(name="m.server")


@get("/.well-known/matrix/server", auth=Auth.NONE)
def get_wellknown_server(discovery: Discovery, request: Request) -> Response:
    return Response(discovery.server_address(request.host))
