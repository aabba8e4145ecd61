"""POST /_matrix/client/v3/keys/device_signing/upload

Publishes the caller's cross-signing keys. The first ones pass at once, and so do the same again;
others need the person's password (user-interactive authentication).
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload
"""

from typing import Any

from msgspec import Struct

from posthouse.accounts import Accounts, AuthData
from posthouse.devices.cross_signing import CrossSigning
from posthouse.devices.errors import ProofNeeded
from posthouse.devices.model import CrossSigningKey, Usage
from posthouse.devices.rules import parse_cross_signing_key
from posthouse.http import Caller, Limit, post
from posthouse.matrix import UserId


class Request(Struct, frozen=True):
    master_key: dict[str, Any] | None = None
    self_signing_key: dict[str, Any] | None = None
    user_signing_key: dict[str, Any] | None = None
    auth: AuthData | None = None

    def keys(self, user_id: UserId) -> dict[Usage, CrossSigningKey]:
        given = {
            Usage.MASTER: self.master_key,
            Usage.SELF_SIGNING: self.self_signing_key,
            Usage.USER_SIGNING: self.user_signing_key,
        }
        return {u: parse_cross_signing_key(user_id, u, k) for u, k in given.items() if k}


class Response(Struct, frozen=True): ...


@post("/_matrix/client/v3/keys/device_signing/upload", Limit.KEYS)
async def upload_cross_signing_keys(
    cross_signing: CrossSigning, accounts: Accounts, caller: Caller, request: Request
) -> Response:
    keys = request.keys(caller.user_id)
    try:
        await cross_signing.publish(caller.user_id, keys, proven=False)
    except ProofNeeded:
        parameters = {usage.value: key.content.decode() for usage, key in keys.items()}
        await accounts.confirm(caller, "uploadCrossSigningKeys", parameters, request.auth)
        await cross_signing.publish(caller.user_id, keys, proven=True)
    return Response()
