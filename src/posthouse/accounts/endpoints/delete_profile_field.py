"""DELETE /_matrix/client/v3/profile/{userId}/{keyName}

Removes one field of the caller's profile.
https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3profileuseridkeyname
"""

from msgspec import Struct

from posthouse.accounts.service import Accounts
from posthouse.http import Caller, Limit, delete
from posthouse.matrix import UserId


class Request(Struct, frozen=True):
    user_id: UserId
    key_name: str


class Response(Struct, frozen=True): ...


@delete(
    "/_matrix/client/unstable/uk.tcpip.msc4133/profile/{user_id}/{key_name}",
    Limit.PROFILE,
)
@delete("/_matrix/client/v3/profile/{user_id}/{key_name}", Limit.PROFILE)
async def delete_profile_field(accounts: Accounts, caller: Caller, request: Request) -> Response:
    await accounts.profiles.delete_field(caller.user_id, request.user_id, request.key_name)
    return Response()
