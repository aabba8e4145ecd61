"""GET /_matrix/client/v3/devices

Lists the devices that the caller is signed in on.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3devices
"""

from msgspec import Struct

from posthouse.accounts.service import Accounts
from posthouse.accounts.views import DeviceView, device_view
from posthouse.http import Caller, get


class Response(Struct, frozen=True):
    devices: list[DeviceView]


@get("/_matrix/client/v3/devices")
async def get_devices(accounts: Accounts, caller: Caller) -> Response:
    devices = await accounts.sign_ins.devices(caller.user_id)
    return Response([device_view(device) for device in devices])
