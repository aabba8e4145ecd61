"""POST /_matrix/client/v3/logout

Ends the caller's sign-in: its tokens, its device, and by that the device's keys.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3logout
"""

from msgspec import Struct

from posthouse.accounts.service import Accounts
from posthouse.http import Caller, post


class Response(Struct, frozen=True): ...


@post("/_matrix/client/v3/logout")
async def logout(accounts: Accounts, caller: Caller) -> Response:
    await accounts.sign_out(caller.user_id, [caller.device_id])
    return Response()
