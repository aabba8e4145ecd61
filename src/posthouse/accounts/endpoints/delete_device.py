"""DELETE /_matrix/client/v3/devices/{deviceId}

Ends a sign-in of the caller, who proves to know the password. One that is gone is no error.
https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3devicesdeviceid
"""

from msgspec import Struct

from posthouse.accounts.confirmation import AuthData
from posthouse.accounts.service import Accounts
from posthouse.http import Caller, Limit, delete
from posthouse.matrix import DeviceId


class Request(Struct, frozen=True):
    device_id: DeviceId
    auth: AuthData | None = None


class Response(Struct, frozen=True): ...


@delete("/_matrix/client/v3/devices/{device_id}", Limit.DEVICES)
async def delete_device(accounts: Accounts, caller: Caller, request: Request) -> Response:
    parameters = {"device_id": request.device_id}
    await accounts.confirm(caller, "delete device", parameters, request.auth)
    await accounts.sign_out(caller.user_id, [request.device_id])
    return Response()
