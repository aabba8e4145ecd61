"""GET /_matrix/client/v3/account/whoami

Says whom the access token stands for.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3accountwhoami
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, get
from posthouse.matrix import DeviceId, UserId


class Response(Struct, frozen=True):
    user_id: UserId
    device_id: DeviceId
    is_guest: bool = False


@get("/_matrix/client/v3/account/whoami", Limit.READS)
async def get_token_owner(caller: Caller) -> Response:
    return Response(caller.user_id, caller.device_id)
