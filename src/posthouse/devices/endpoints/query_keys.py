"""POST /_matrix/client/v3/keys/query

Returns the devices and cross-signing keys of people, as far as the caller may see them.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery
"""

from typing import Final

import orjson
from msgspec import Struct

from posthouse.devices.errors import TooManyTargets
from posthouse.devices.service import Devices
from posthouse.http import Caller, Limit, RawJson, post
from posthouse.matrix import DeviceId, parse_user_id

USERS_MAX: Final = 10_000
"""People in one query: some clients ask for everybody of all their rooms at once."""


class Request(Struct, frozen=True):
    device_keys: dict[str, list[DeviceId]]


@post("/_matrix/client/v3/keys/query", Limit.KEYS)
async def query_keys(devices: Devices, caller: Caller, request: Request) -> RawJson:
    if len(request.device_keys) > USERS_MAX:
        raise TooManyTargets()
    wanted = {parse_user_id(user): ids for user, ids in request.device_keys.items()}
    return RawJson(orjson.dumps(await devices.query(caller.user_id, wanted)))
