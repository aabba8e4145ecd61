"""POST /_matrix/client/v3/login

Signs a person in on a device, by password.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3login
"""

from typing import Annotated

from msgspec import Struct

from posthouse.accounts.confirmation import UserIdentifier
from posthouse.accounts.errors import PasswordMissing, UnknownIdentifier, UnknownLoginType
from posthouse.accounts.model import DeviceWish
from posthouse.accounts.service import Accounts
from posthouse.http import Auth, Limit, PeerAddress, post
from posthouse.matrix import DeviceId, MissingParam, ServerName, UserId


class Request(Struct, frozen=True):
    type: str
    address: Annotated[str, PeerAddress()]
    identifier: UserIdentifier | None = None
    user: str | None = None
    """Deprecated: what `identifier` says now."""
    password: str | None = None
    device_id: DeviceId | None = None
    initial_device_display_name: str | None = None
    refresh_token: bool = False


class Response(Struct, frozen=True, omit_defaults=True):
    user_id: UserId
    access_token: str
    device_id: DeviceId
    home_server: ServerName
    refresh_token: str | None = None
    expires_in_ms: int | None = None


@post("/_matrix/client/v3/login", Limit.LOGIN, auth=Auth.NONE)
async def login(accounts: Accounts, request: Request) -> Response:
    if request.type != "m.login.password":
        raise UnknownLoginType
    if request.password is None:
        raise PasswordMissing
    # A refresh token goes only to who asked: some clients sign out when they get one unasked.
    sign_in = await accounts.sign_in(
        _named(request),
        request.password,
        DeviceWish(
            device_id=request.device_id,
            display_name=request.initial_device_display_name,
            refreshable=request.refresh_token,
            address=request.address,
        ),
    )
    return Response(
        user_id=sign_in.user_id,
        access_token=sign_in.tokens.access_token,
        device_id=sign_in.device_id,
        home_server=accounts.server,
        refresh_token=sign_in.tokens.refresh_token,
        expires_in_ms=sign_in.tokens.expires_in_ms,
    )


def _named(request: Request) -> str:
    if request.identifier is None:
        name = request.user
    elif request.identifier.type == "m.id.user":
        name = request.identifier.user
    else:
        raise UnknownIdentifier
    if name is None:
        raise MissingParam("Who is to be signed in? There is no user.")
    return name
