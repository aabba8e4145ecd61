"""GET /_matrix/client/v3/user/{userId}/account_data/{type}

Shows a piece of the caller's account data.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridaccountdatatype
"""

from msgspec import Struct

from posthouse.accounts.model import GLOBAL_DATA
from posthouse.accounts.service import Accounts
from posthouse.http import Caller, RawJson, get
from posthouse.matrix import UserId


class Request(Struct, frozen=True):
    user_id: UserId
    type: str


@get("/_matrix/client/v3/user/{user_id}/account_data/{type}")
async def get_account_data(accounts: Accounts, caller: Caller, request: Request) -> RawJson:
    content = await accounts.account_data.get(
        caller.user_id, request.user_id, GLOBAL_DATA, request.type
    )
    return RawJson(content)
