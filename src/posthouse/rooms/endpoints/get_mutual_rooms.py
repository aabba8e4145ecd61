"""GET /_matrix/client/v1/mutual_rooms

The rooms that one is in together with somebody else.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mutual_rooms
"""

from typing import Annotated, Final

from msgspec import UNSET, Struct, UnsetType

from posthouse.http import Caller, Limit, Query, get
from posthouse.matrix import InvalidParam, RoomId, UserId, parse_room_id
from posthouse.rooms.views import RoomViews

PAGE: Final = 500


class Request(Struct, frozen=True):
    user_id: UserId
    after: Annotated[str | None, Query("from")] = None


class Response(Struct, frozen=True, omit_defaults=True):
    joined: list[RoomId]
    count: int
    next_batch: str | UnsetType = UNSET
    next_batch_token: str | UnsetType = UNSET
    """Its name before it was accepted."""


@get("/_matrix/client/v1/mutual_rooms", Limit.READS)
async def get_mutual_rooms(views: RoomViews, caller: Caller, request: Request) -> Response:
    shared, count = await _page(views, caller, request.user_id, request.after)
    return Response(shared, count, next_batch=shared[-1] if len(shared) == PAGE else UNSET)


class UnstableRequest(Struct, frozen=True):
    user_id: UserId
    batch_token: str | None = None


@get("/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms", Limit.READS)
async def get_unstable_mutual_rooms(
    views: RoomViews, caller: Caller, request: UnstableRequest
) -> Response:
    """The same before it was accepted, with the names that clients read there."""
    shared, count = await _page(views, caller, request.user_id, request.batch_token)
    return Response(shared, count, next_batch_token=shared[-1] if len(shared) == PAGE else UNSET)


async def _page(
    views: RoomViews, caller: Caller, other: UserId, after: str | None
) -> tuple[list[RoomId], int]:
    if other == caller.user_id:
        raise InvalidParam("user_id is somebody else's.")
    start = parse_room_id(after) if after else ""
    return await views.mutual_rooms(caller.user_id, other, after=start, limit=PAGE)
