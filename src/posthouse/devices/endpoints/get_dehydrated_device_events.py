"""GET /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device/{device_id}/events

Returns the messages that came for the caller's dehydrated device, page by page; deletes none.
https://github.com/matrix-org/matrix-spec-proposals/pull/3814
"""

from typing import Annotated

from msgspec import Struct

from posthouse.devices.dehydration import DehydratedDevices
from posthouse.devices.views import LettersView
from posthouse.http import Caller, Limit, Query, get
from posthouse.matrix import DeviceId


class Request(Struct, frozen=True):
    device_id: DeviceId
    from_: Annotated[str | None, Query("from")] = None


@get(
    "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device/{device_id}/events",
    Limit.TO_DEVICE,
)
async def get_dehydrated_device_events(
    dehydrated: DehydratedDevices, caller: Caller, request: Request
) -> LettersView:
    found = await dehydrated.events(caller.user_id, request.device_id, request.from_)
    return LettersView.of(*found)
