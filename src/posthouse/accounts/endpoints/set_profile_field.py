"""PUT /_matrix/client/v3/profile/{userId}/{keyName}

Sets one field of the caller's profile; rooms carry name and picture into memberships.
https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3profileuseridkeyname
"""

from typing import Annotated

from msgspec import Struct

from posthouse.accounts.service import Accounts
from posthouse.http import Caller, Limit, RawBody, put
from posthouse.matrix import MissingParam, UserId, parse_json_object


class Request(Struct, frozen=True):
    user_id: UserId
    key_name: str
    body: Annotated[bytes, RawBody()]


class Response(Struct, frozen=True): ...


@put(
    "/_matrix/client/unstable/uk.tcpip.msc4133/profile/{user_id}/{key_name}",
    Limit.PROFILE,
)
@put("/_matrix/client/v3/profile/{user_id}/{key_name}", Limit.PROFILE)
async def set_profile_field(accounts: Accounts, caller: Caller, request: Request) -> Response:
    body = parse_json_object(request.body, allow_floats=True)
    if request.key_name not in body:
        raise MissingParam(f"The body has no {request.key_name[:255]}.")
    await accounts.profiles.set_field(
        caller.user_id, request.user_id, request.key_name, body[request.key_name]
    )
    return Response()
