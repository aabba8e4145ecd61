"""GET /_matrix/client/v3/profile/{userId}

Shows everything in a person's profile.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3profileuserid
"""

from msgspec import Struct

from posthouse.accounts.service import Accounts
from posthouse.accounts.views import fields_json
from posthouse.http import Auth, Limit, RawJson, get
from posthouse.matrix import UserId


class Request(Struct, frozen=True):
    user_id: UserId


@get(
    "/_matrix/client/unstable/uk.tcpip.msc4133/profile/{user_id}",
    Limit.READS,
    auth=Auth.NONE,
)
@get("/_matrix/client/v3/profile/{user_id}", Limit.READS, auth=Auth.NONE)
async def get_user_profile(accounts: Accounts, request: Request) -> RawJson:
    return RawJson(fields_json(await accounts.profiles.fields(request.user_id)))
