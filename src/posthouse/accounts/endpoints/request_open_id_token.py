"""POST /_matrix/client/v3/user/{userId}/openid/request_token

Gives the caller a token by which another service learns who they are, and can do nothing else.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3useruseridopenidrequest_token
"""

from msgspec import Struct

from posthouse.accounts.errors import NotYours
from posthouse.accounts.openid import LIFETIME_S
from posthouse.accounts.service import Accounts
from posthouse.http import Caller, Limit, post
from posthouse.matrix import ServerName, UserId


class Request(Struct, frozen=True):
    user_id: UserId


class Response(Struct, frozen=True):
    access_token: str
    matrix_server_name: ServerName
    token_type: str = "Bearer"
    expires_in: int = LIFETIME_S


@post("/_matrix/client/v3/user/{user_id}/openid/request_token", Limit.OPENID)
def request_open_id_token(accounts: Accounts, caller: Caller, request: Request) -> Response:
    if request.user_id != caller.user_id:
        raise NotYours
    return Response(accounts.openid.issue(caller), accounts.server)
