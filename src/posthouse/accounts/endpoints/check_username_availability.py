"""GET /_matrix/client/v3/register/available

Says whether a name is free just now; reserves nothing.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3registeravailable
"""

from msgspec import Struct

from posthouse.accounts.service import Accounts
from posthouse.http import Auth, Limit, get


class Request(Struct, frozen=True):
    username: str


class Response(Struct, frozen=True):
    available: bool


@get("/_matrix/client/v3/register/available", Limit.AVAILABILITY, auth=Auth.NONE)
async def check_username_availability(accounts: Accounts, request: Request) -> Response:
    await accounts.check_username(request.username)
    return Response(available=True)
