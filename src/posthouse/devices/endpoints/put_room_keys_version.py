"""PUT /_matrix/client/v3/room_keys/version/{version}

Replaces the `auth_data` of a version of the caller's key backup; its algorithm can't change.
https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keysversionversion
"""

from typing import Any

from msgspec import Struct

from posthouse.devices.backup_rules import parse_version
from posthouse.devices.backup_views import Algorithm
from posthouse.devices.backups import KeyBackups
from posthouse.devices.errors import OtherVersion
from posthouse.http import Caller, Limit, put


class Request(Struct, frozen=True):
    version_id: str
    algorithm: Algorithm
    auth_data: dict[str, Any]
    version: str | None = None


class Response(Struct, frozen=True): ...


@put("/_matrix/client/v3/room_keys/version/{version_id}", Limit.KEY_BACKUP)
async def put_room_keys_version(backups: KeyBackups, caller: Caller, request: Request) -> Response:
    if request.version not in (None, request.version_id):
        raise OtherVersion()
    await backups.set_auth_data(
        caller.user_id, parse_version(request.version_id), request.algorithm, request.auth_data
    )
    return Response()
