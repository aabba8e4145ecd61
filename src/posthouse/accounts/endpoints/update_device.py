"""PUT /_matrix/client/v3/devices/{deviceId}

Gives one of the caller's devices another name.
https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3devicesdeviceid
"""

from msgspec import Struct

from posthouse.accounts.service import Accounts
from posthouse.http import Caller, Limit, put
from posthouse.matrix import DeviceId


class Request(Struct, frozen=True):
    device_id: DeviceId
    display_name: str | None = None


class Response(Struct, frozen=True): ...


@put("/_matrix/client/v3/devices/{device_id}", Limit.DEVICES)
async def update_device(accounts: Accounts, caller: Caller, request: Request) -> Response:
    await accounts.sign_ins.rename(caller.user_id, request.device_id, request.display_name)
    return Response()
