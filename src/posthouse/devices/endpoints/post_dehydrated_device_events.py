"""POST /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device/{device_id}/events

Returns the messages that came for the caller's dehydrated device, as older clients ask for them.
https://github.com/matrix-org/matrix-spec-proposals/pull/3814
"""

from msgspec import Struct

from posthouse.devices.dehydration import DehydratedDevices
from posthouse.devices.views import LettersView
from posthouse.http import Caller, Limit, post
from posthouse.matrix import DeviceId


class Request(Struct, frozen=True):
    device_id: DeviceId
    next_batch: str | None = None


@post(
    "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device/{device_id}/events",
    Limit.TO_DEVICE,
)
async def post_dehydrated_device_events(
    dehydrated: DehydratedDevices, caller: Caller, request: Request
) -> LettersView:
    found = await dehydrated.events(caller.user_id, request.device_id, request.next_batch)
    return LettersView.of(*found)
