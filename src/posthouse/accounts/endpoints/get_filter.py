"""GET /_matrix/client/v3/user/{userId}/filter/{filterId}

Shows a filter that the caller has stored.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridfilterfilterid
"""

from msgspec import Struct

from posthouse.accounts.service import Accounts
from posthouse.http import Caller, RawJson, get
from posthouse.matrix import UserId


class Request(Struct, frozen=True):
    user_id: UserId
    filter_id: str


@get("/_matrix/client/v3/user/{user_id}/filter/{filter_id}")
async def get_filter(accounts: Accounts, caller: Caller, request: Request) -> RawJson:
    return RawJson(
        await accounts.filters.definition(caller.user_id, request.user_id, request.filter_id)
    )
