"""GET /_matrix/client/v3/profile/{userId}/{keyName}

Shows one field of a person's profile.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3profileuseridkeyname
"""

from msgspec import Struct

from posthouse.accounts.service import Accounts
from posthouse.accounts.views import fields_json
from posthouse.http import Auth, Limit, RawJson, get
from posthouse.matrix import UserId


class Request(Struct, frozen=True):
    user_id: UserId
    key_name: str


@get(
    "/_matrix/client/unstable/uk.tcpip.msc4133/profile/{user_id}/{key_name}",
    Limit.READS,
    auth=Auth.NONE,
)
@get("/_matrix/client/v3/profile/{user_id}/{key_name}", Limit.READS, auth=Auth.NONE)
async def get_profile_field(accounts: Accounts, request: Request) -> RawJson:
    value = await accounts.profiles.field(request.user_id, request.key_name)
    return RawJson(fields_json({request.key_name: value}))
