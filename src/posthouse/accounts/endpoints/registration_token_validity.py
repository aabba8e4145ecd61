"""GET /_matrix/client/v1/register/m.login.registration_token/validity

Says whether somebody could register with a token now.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1registermloginregistration_tokenvalidity
"""

from msgspec import Struct

from posthouse.accounts.service import Accounts
from posthouse.http import Auth, Limit, get


class Request(Struct, frozen=True):
    token: str


class Response(Struct, frozen=True):
    valid: bool


@get(
    "/_matrix/client/v1/register/m.login.registration_token/validity",
    Limit.AVAILABILITY,
    auth=Auth.NONE,
)
async def registration_token_validity(accounts: Accounts, request: Request) -> Response:
    return Response(valid=await accounts.is_registration_token_valid(request.token))
