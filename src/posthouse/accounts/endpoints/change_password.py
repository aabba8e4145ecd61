"""POST /_matrix/client/v3/account/password

Changes the password of a signed-in person who proves to know the old one.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountpassword
"""

from msgspec import Struct

from posthouse.accounts.confirmation import AuthData
from posthouse.accounts.service import Accounts
from posthouse.http import Auth, Caller, Limit, post
from posthouse.matrix import MissingToken


class Request(Struct, frozen=True):
    new_password: str
    logout_devices: bool = True
    auth: AuthData | None = None


class Response(Struct, frozen=True): ...


@post("/_matrix/client/v3/account/password", Limit.ACCOUNT, auth=Auth.OPTIONAL)
async def change_password(accounts: Accounts, caller: Caller | None, request: Request) -> Response:
    # Who is not signed in could prove who they are by e-mail only, and there is none here.
    if caller is None:
        raise MissingToken
    parameters = {
        "new_password": request.new_password,
        "logout_devices": request.logout_devices,
    }
    accounts.check_password(request.new_password)
    await accounts.confirm(caller, "change password", parameters, request.auth)
    await accounts.change_password(
        caller, request.new_password, logout_devices=request.logout_devices
    )
    return Response()
