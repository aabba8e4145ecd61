"""GET /_matrix/client/v3/keys/changes

Tells whose devices changed between two sync tokens, among those the caller shares rooms with.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3keyschanges
"""

from typing import Annotated

from msgspec import Struct

from posthouse.devices.shared_rooms import SharedRooms
from posthouse.http import Caller, Limit, Query, get
from posthouse.matrix import UserId


class Request(Struct, frozen=True):
    since: Annotated[str, Query("from")]
    until: Annotated[str, Query("to")]


class Response(Struct, frozen=True):
    changed: list[UserId]
    left: list[UserId]


@get("/_matrix/client/v3/keys/changes", Limit.KEYS)
async def get_keys_changes(rooms: SharedRooms, caller: Caller, request: Request) -> Response:
    changes = await rooms.device_changes(caller.user_id, request.since, request.until)
    return Response(changes.changed, changes.left)
