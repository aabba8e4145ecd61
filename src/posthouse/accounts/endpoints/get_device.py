"""GET /_matrix/client/v3/devices/{deviceId}

Shows one of the caller's devices.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3devicesdeviceid
"""

from msgspec import Struct

from posthouse.accounts.service import Accounts
from posthouse.accounts.views import DeviceView, device_view
from posthouse.http import Caller, get
from posthouse.matrix import DeviceId


class Request(Struct, frozen=True):
    device_id: DeviceId


@get("/_matrix/client/v3/devices/{device_id}")
async def get_device(accounts: Accounts, caller: Caller, request: Request) -> DeviceView:
    return device_view(await accounts.sign_ins.device(caller.user_id, request.device_id))
