"""PUT /_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}

Stores a piece of the caller's account data that belongs to a room. Devices see it in their next sync.
https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3useruseridroomsroomidaccountdatatype
"""

from typing import Annotated

from msgspec import Struct

from posthouse.accounts.service import Accounts
from posthouse.http import Caller, Limit, RawBody, put
from posthouse.matrix import RoomId, UserId


class Request(Struct, frozen=True):
    user_id: UserId
    room_id: RoomId
    type: str
    body: Annotated[bytes, RawBody()]


class Response(Struct, frozen=True): ...


@put("/_matrix/client/v3/user/{user_id}/rooms/{room_id}/account_data/{type}", Limit.ACCOUNT_DATA)
async def set_account_data_per_room(
    accounts: Accounts, caller: Caller, request: Request
) -> Response:
    await accounts.account_data.put(
        caller.user_id, request.user_id, request.room_id, request.type, request.body
    )
    return Response()
