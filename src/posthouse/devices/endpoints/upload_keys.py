"""POST /_matrix/client/v3/keys/upload

Publishes the calling device's identity keys, one-time keys and fallback keys.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysupload
"""

from typing import Any

from msgspec import Struct

from posthouse.devices.rules import parse_upload
from posthouse.devices.service import Devices
from posthouse.http import Caller, Limit, post


class Request(Struct, frozen=True):
    device_keys: dict[str, Any] | None = None
    one_time_keys: dict[str, Any] | None = None
    fallback_keys: dict[str, Any] | None = None


class Response(Struct, frozen=True):
    one_time_key_counts: dict[str, int]


@post("/_matrix/client/v3/keys/upload", Limit.KEYS)
async def upload_keys(devices: Devices, caller: Caller, request: Request) -> Response:
    upload = parse_upload(
        caller.user_id,
        caller.device_id,
        device_keys=request.device_keys,
        one_time_keys=request.one_time_keys,
        fallback_keys=request.fallback_keys,
    )
    return Response(await devices.publish(caller.user_id, caller.device_id, upload))
