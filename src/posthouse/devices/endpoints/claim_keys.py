"""POST /_matrix/client/v3/keys/claim

Gives out one key for each device named, to begin an encrypted session with it.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysclaim
"""

from typing import Final

import orjson
from msgspec import Struct

from posthouse.devices.errors import TooManyTargets
from posthouse.devices.service import Devices
from posthouse.http import Caller, Limit, RawJson, post
from posthouse.matrix import DeviceId, parse_user_id

DEVICES_MAX: Final = 5_000


class Request(Struct, frozen=True):
    one_time_keys: dict[str, dict[DeviceId, str]]


@post("/_matrix/client/v3/keys/claim", Limit.KEYS)
async def claim_keys(devices: Devices, caller: Caller, request: Request) -> RawJson:
    if sum(map(len, request.one_time_keys.values())) > DEVICES_MAX:
        raise TooManyTargets()
    wanted = {parse_user_id(user): ids for user, ids in request.one_time_keys.items()}
    return RawJson(orjson.dumps(await devices.claim(wanted)))
