"""POST /_matrix/client/v3/user/{userId}/filter

Stores a filter for later syncs.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3useruseridfilter
"""

from typing import Annotated

from msgspec import Struct

from posthouse.accounts.service import Accounts
from posthouse.http import Caller, Limit, RawBody, post
from posthouse.matrix import UserId


class Request(Struct, frozen=True):
    user_id: UserId
    body: Annotated[bytes, RawBody()]


class Response(Struct, frozen=True):
    filter_id: str


@post("/_matrix/client/v3/user/{user_id}/filter", Limit.FILTERS)
async def define_filter(accounts: Accounts, caller: Caller, request: Request) -> Response:
    return Response(await accounts.filters.define(caller.user_id, request.user_id, request.body))
