"""GET /_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}

Shows a piece of the caller's account data that belongs to a room.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridroomsroomidaccountdatatype
"""

from msgspec import Struct

from posthouse.accounts.service import Accounts
from posthouse.http import Caller, RawJson, get
from posthouse.matrix import RoomId, UserId


class Request(Struct, frozen=True):
    user_id: UserId
    room_id: RoomId
    type: str


@get("/_matrix/client/v3/user/{user_id}/rooms/{room_id}/account_data/{type}")
async def get_account_data_per_room(
    accounts: Accounts, caller: Caller, request: Request
) -> RawJson:
    content = await accounts.account_data.get(
        caller.user_id, request.user_id, request.room_id, request.type
    )
    return RawJson(content)
