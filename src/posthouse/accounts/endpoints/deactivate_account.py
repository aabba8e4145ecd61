"""POST /_matrix/client/v3/account/deactivate

Closes the caller's account for good.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate
"""

from typing import Literal

from msgspec import Struct

from posthouse.accounts.confirmation import AuthData
from posthouse.accounts.service import Accounts
from posthouse.http import Auth, Caller, Limit, post
from posthouse.matrix import MissingToken


class Request(Struct, frozen=True):
    erase: bool = False
    auth: AuthData | None = None


class Response(Struct, frozen=True):
    id_server_unbind_result: Literal["success", "no-support"]


@post("/_matrix/client/v3/account/deactivate", Limit.ACCOUNT, auth=Auth.OPTIONAL)
async def deactivate_account(
    accounts: Accounts, caller: Caller | None, request: Request
) -> Response:
    if caller is None:
        raise MissingToken
    await accounts.confirm(caller, "deactivate", {"erase": request.erase}, request.auth)
    await accounts.deactivate(caller.user_id, erase=request.erase)
    # No third-party identifiers are kept, so none is left to unbind.
    return Response(id_server_unbind_result="success")
