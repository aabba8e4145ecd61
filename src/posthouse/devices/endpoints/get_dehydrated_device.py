"""GET /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device

Shows the caller's dehydrated device, whose private keys only they can decrypt.
https://github.com/matrix-org/matrix-spec-proposals/pull/3814
"""

import msgspec
from msgspec import Struct

from posthouse.devices.dehydration import DehydratedDevices
from posthouse.http import Caller, Limit, get
from posthouse.matrix import DeviceId


class Response(Struct, frozen=True):
    device_id: DeviceId
    device_data: msgspec.Raw


@get("/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device", Limit.KEYS)
async def get_dehydrated_device(dehydrated: DehydratedDevices, caller: Caller) -> Response:
    device = await dehydrated.of(caller.user_id)
    return Response(device.device_id, msgspec.Raw(device.data))
