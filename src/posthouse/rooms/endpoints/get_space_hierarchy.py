"""GET /_matrix/client/v1/rooms/{roomId}/hierarchy

The rooms of a space and of the spaces in it, depth first, as far as one may know of them.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidhierarchy
"""

from typing import Annotated

from msgspec import Meta, Struct

from posthouse.http import Caller, Limit, Query, RawJson, get
from posthouse.matrix import RoomId
from posthouse.rooms.hierarchy import Hierarchy


class Request(Struct, frozen=True):
    room_id: RoomId
    suggested_only: bool = False
    limit: Annotated[int, Meta(ge=1)] | None = None
    max_depth: Annotated[int, Meta(ge=0)] | None = None
    token: Annotated[str | None, Query("from")] = None


@get("/_matrix/client/v1/rooms/{room_id}/hierarchy", Limit.HISTORY)
async def get_space_hierarchy(hierarchy: Hierarchy, caller: Caller, request: Request) -> RawJson:
    return RawJson(
        await hierarchy.page(
            caller.user_id,
            request.room_id,
            suggested_only=request.suggested_only,
            max_depth=request.max_depth,
            limit=request.limit,
            token=request.token,
        )
    )
