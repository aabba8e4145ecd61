"""GET /_matrix/client/v3/pushers

Lists the caller's pushers.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushers
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, get
from posthouse.push.model import Pusher
from posthouse.push.service import Pushers


class Response(Struct, frozen=True):
    pushers: list[Pusher]


@get("/_matrix/client/v3/pushers", Limit.PUSH)
async def get_pushers(pushers: Pushers, caller: Caller) -> Response:
    return Response(await pushers.of(caller.user_id))
