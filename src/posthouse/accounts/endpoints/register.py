"""POST /_matrix/client/v3/register

Makes an account, and signs in on it unless told not to.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3register
"""

from typing import Annotated

from msgspec import Struct

from posthouse.accounts.confirmation import AuthData
from posthouse.accounts.errors import GuestsNotServed
from posthouse.accounts.model import DeviceWish, SignIn
from posthouse.accounts.service import Accounts
from posthouse.http import Auth, Limit, PeerAddress, Query, post
from posthouse.matrix import DeviceId, InvalidParam, ServerName, UserId


class Request(Struct, frozen=True):
    address: Annotated[str, PeerAddress()]
    kind: Annotated[str, Query()] = "user"
    auth: AuthData | None = None
    username: str | None = None
    password: str | None = None
    device_id: DeviceId | None = None
    initial_device_display_name: str | None = None
    inhibit_login: bool = False
    refresh_token: bool = False


class Response(Struct, frozen=True, omit_defaults=True):
    user_id: UserId
    home_server: ServerName
    access_token: str | None = None
    device_id: DeviceId | None = None
    refresh_token: str | None = None
    expires_in_ms: int | None = None


@post("/_matrix/client/v3/register", Limit.REGISTER, auth=Auth.NONE)
async def register(accounts: Accounts, request: Request) -> Response:
    if request.kind == "guest":
        raise GuestsNotServed
    if request.kind != "user":
        raise InvalidParam("There are accounts of kind user here, and no others.")
    made = await accounts.register(
        request.username,
        request.password,
        DeviceWish(
            device_id=request.device_id,
            display_name=request.initial_device_display_name,
            refreshable=request.refresh_token,
            address=request.address,
        ),
        auth=request.auth,
        inhibit_login=request.inhibit_login,
    )
    if not isinstance(made, SignIn):
        return Response(user_id=made, home_server=accounts.server)
    return Response(
        user_id=made.user_id,
        home_server=accounts.server,
        access_token=made.tokens.access_token,
        device_id=made.device_id,
        refresh_token=made.tokens.refresh_token,
        expires_in_ms=made.tokens.expires_in_ms,
    )
