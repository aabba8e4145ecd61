"""POST /_matrix/client/v3/delete_devices

Ends several sign-ins of the caller, who proves to know the password.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3deletedevices
"""

from typing import Annotated

from msgspec import Meta, Struct

from posthouse.accounts.confirmation import AuthData
from posthouse.accounts.service import Accounts
from posthouse.http import Caller, Limit, post
from posthouse.matrix import DeviceId


class Request(Struct, frozen=True):
    devices: Annotated[list[DeviceId], Meta(max_length=1_000)]
    auth: AuthData | None = None


class Response(Struct, frozen=True): ...


@post("/_matrix/client/v3/delete_devices", Limit.DEVICES)
async def delete_devices(accounts: Accounts, caller: Caller, request: Request) -> Response:
    parameters = {"devices": sorted(request.devices)}
    await accounts.confirm(caller, "delete devices", parameters, request.auth)
    await accounts.sign_out(caller.user_id, request.devices)
    return Response()
