"""GET /_matrix/client/v3/login

Says how one may sign in.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3login
"""

from msgspec import Struct

from posthouse.http import Auth, Limit, get


class LoginFlow(Struct, frozen=True):
    type: str


class Response(Struct, frozen=True):
    flows: tuple[LoginFlow, ...]


@get("/_matrix/client/v3/login", Limit.READS, auth=Auth.NONE)
async def get_login_flows() -> Response:
    return Response(flows=(LoginFlow("m.login.password"),))
