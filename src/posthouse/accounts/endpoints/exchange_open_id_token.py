"""GET /_matrix/federation/v1/openid/userinfo

Tells a service whose OpenID token it was given. One of the two federation endpoints that a server
without federation has.
https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1openiduserinfo
"""

from msgspec import Struct

from posthouse.accounts.service import Accounts
from posthouse.http import Auth, Limit, get
from posthouse.matrix import MissingToken, UserId


class Request(Struct, frozen=True):
    access_token: str | None = None


class Response(Struct, frozen=True):
    sub: UserId


@get("/_matrix/federation/v1/openid/userinfo", Limit.USERINFO, auth=Auth.NONE)
async def exchange_open_id_token(accounts: Accounts, request: Request) -> Response:
    if not request.access_token:
        raise MissingToken
    return Response(await accounts.openid.owner_of(request.access_token))
