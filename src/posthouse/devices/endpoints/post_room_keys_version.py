"""POST /_matrix/client/v3/room_keys/version

Begins a new version of the caller's key backup; keys go into the newest one only.
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3room_keysversion
"""

from typing import Any

from msgspec import Struct

from posthouse.devices.backup_views import Algorithm
from posthouse.devices.backups import KeyBackups
from posthouse.http import Caller, Limit, post


class Request(Struct, frozen=True):
    algorithm: Algorithm
    auth_data: dict[str, Any]


class Response(Struct, frozen=True):
    version: str


@post("/_matrix/client/v3/room_keys/version", Limit.KEY_BACKUP)
async def post_room_keys_version(backups: KeyBackups, caller: Caller, request: Request) -> Response:
    by = caller.user_id, caller.device_id
    return Response(str(await backups.create(by, request.algorithm, request.auth_data)))
