"""PUT /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device

Puts a device of the caller's to sleep on the server, in the place of the one that there was.
https://github.com/matrix-org/matrix-spec-proposals/pull/3814
"""

from typing import Annotated, Any

from msgspec import Meta, Struct

from posthouse.devices.dehydration import DehydratedDevices
from posthouse.devices.rules import parse_dehydrated_device, parse_upload
from posthouse.http import Caller, Limit, put
from posthouse.matrix import DeviceId


class Request(Struct, frozen=True):
    device_id: DeviceId
    device_data: dict[str, Any]
    device_keys: dict[str, Any]
    one_time_keys: dict[str, Any] | None = None
    fallback_keys: dict[str, Any] | None = None
    initial_device_display_name: Annotated[str, Meta(max_length=256)] | None = None


class Response(Struct, frozen=True):
    device_id: DeviceId


@put("/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device", Limit.KEYS)
async def put_dehydrated_device(
    dehydrated: DehydratedDevices, caller: Caller, request: Request
) -> Response:
    upload = parse_upload(
        caller.user_id,
        request.device_id,
        device_keys=request.device_keys,
        one_time_keys=request.one_time_keys,
        fallback_keys=request.fallback_keys,
    )
    device = parse_dehydrated_device(
        request.device_id, request.device_data, request.initial_device_display_name, upload
    )
    await dehydrated.put((caller.user_id, caller.device_id), device, upload)
    return Response(device.device_id)
