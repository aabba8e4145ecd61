"""PUT /_matrix/client/v3/user/{userId}/account_data/{type}

Stores a piece of the caller's account data. Devices see it in their next sync.
https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3useruseridaccountdatatype
"""

from typing import Annotated

from msgspec import Struct

from posthouse.accounts.model import GLOBAL_DATA
from posthouse.accounts.service import Accounts
from posthouse.http import Caller, Limit, RawBody, put
from posthouse.matrix import UserId


class Request(Struct, frozen=True):
    user_id: UserId
    type: str
    body: Annotated[bytes, RawBody()]


class Response(Struct, frozen=True): ...


@put("/_matrix/client/v3/user/{user_id}/account_data/{type}", Limit.ACCOUNT_DATA)
async def set_account_data(accounts: Accounts, caller: Caller, request: Request) -> Response:
    await accounts.account_data.put(
        caller.user_id, request.user_id, GLOBAL_DATA, request.type, request.body
    )
    return Response()
