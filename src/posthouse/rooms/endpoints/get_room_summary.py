"""GET /_matrix/client/v1/room_summary/{roomIdOrAlias}

What one may know of a room without being in it. `via` is taken and not needed.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1room_summaryroomidoralias
"""

from typing import Any, Final

from msgspec import Struct

from posthouse.http import Auth, Caller, Limit, RawJson, encode_json, get
from posthouse.rooms.naming import RoomNames
from posthouse.rooms.previews import Previews


class Request(Struct, frozen=True):
    room_id_or_alias: str


@get("/_matrix/client/v1/room_summary/{room_id_or_alias}", Limit.READS, auth=Auth.OPTIONAL)
async def get_room_summary(
    names: RoomNames, previews: Previews, caller: Caller | None, request: Request
) -> RawJson:
    room_id = await names.room_named(request.room_id_or_alias)
    return RawJson(encode_json(await previews.summary(caller.user_id if caller else None, room_id)))


UNSTABLE: Final = {
    "room_version": "im.nheko.summary.room_version",
    "encryption": "im.nheko.summary.encryption",
}
"""Each under one name only: a client that takes both for the same refuses to find both."""


@get(
    "/_matrix/client/unstable/im.nheko.summary/summary/{room_id_or_alias}",
    Limit.READS,
    auth=Auth.OPTIONAL,
)
@get(
    "/_matrix/client/unstable/im.nheko.summary/rooms/{room_id_or_alias}/summary",
    Limit.READS,
    auth=Auth.OPTIONAL,
)
async def get_unstable_room_summary(
    names: RoomNames, previews: Previews, caller: Caller | None, request: Request
) -> RawJson:
    """The same before it was accepted, with the names that clients read there."""
    room_id = await names.room_named(request.room_id_or_alias)
    summary = await previews.summary(caller.user_id if caller else None, room_id)
    spelt: dict[str, Any] = {UNSTABLE.get(key, key): value for key, value in summary.items()}
    return RawJson(encode_json(spelt))
