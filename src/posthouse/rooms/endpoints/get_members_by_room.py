"""GET /_matrix/client/v3/rooms/{roomId}/members

The member events of a room, now or at a token, of some memberships or of all.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmembers
"""

from msgspec import Struct

from posthouse.http import Caller, Limit, RawJson, get
from posthouse.matrix import Membership, RoomId
from posthouse.rooms.views import RoomViews


class Request(Struct, frozen=True):
    room_id: RoomId
    at: str | None = None
    membership: Membership | None = None
    not_membership: Membership | None = None


@get("/_matrix/client/v3/rooms/{room_id}/members", Limit.HISTORY)
async def get_members_by_room(views: RoomViews, caller: Caller, request: Request) -> RawJson:
    return RawJson(
        await views.members(
            caller,
            request.room_id,
            at=request.at,
            membership=request.membership,
            not_membership=request.not_membership,
        )
    )
