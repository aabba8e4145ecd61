"""POST /_matrix/client/v3/logout/all

Ends all sign-ins of the caller, this one included.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3logoutall
"""

from msgspec import Struct

from posthouse.accounts.service import Accounts
from posthouse.http import Caller, post


class Response(Struct, frozen=True): ...


@post("/_matrix/client/v3/logout/all")
async def logout_all(accounts: Accounts, caller: Caller) -> Response:
    await accounts.sign_out_everywhere(caller.user_id)
    return Response()
