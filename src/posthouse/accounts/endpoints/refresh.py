"""POST /_matrix/client/v3/refresh

Gives a new pair of tokens for a refresh token. The old one works until the new pair is used.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3refresh
"""

from msgspec import Struct

from posthouse.accounts.service import Accounts
from posthouse.http import Auth, Limit, post


class Request(Struct, frozen=True):
    refresh_token: str


class Response(Struct, frozen=True, omit_defaults=True):
    access_token: str
    refresh_token: str | None = None
    expires_in_ms: int | None = None


@post("/_matrix/client/v3/refresh", Limit.REFRESH, auth=Auth.NONE)
async def refresh(accounts: Accounts, request: Request) -> Response:
    issued = await accounts.refresh(request.refresh_token)
    return Response(issued.access_token, issued.refresh_token, issued.expires_in_ms)
