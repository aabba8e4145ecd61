"""DELETE /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device

Deletes the caller's dehydrated device, and the messages that came for it.
https://github.com/matrix-org/matrix-spec-proposals/pull/3814
"""

from msgspec import Struct

from posthouse.devices.dehydration import DehydratedDevices
from posthouse.http import Caller, Limit, delete
from posthouse.matrix import DeviceId


class Response(Struct, frozen=True):
    device_id: DeviceId


@delete("/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device", Limit.KEYS)
async def delete_dehydrated_device(dehydrated: DehydratedDevices, caller: Caller) -> Response:
    return Response(await dehydrated.delete(caller.user_id))
