"""DELETE /_matrix/client/v3/room_keys/version/{version}

Deletes a version of the caller's key backup with all its keys.
https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3room_keysversionversion
"""

from msgspec import Struct

from posthouse.devices.backup_rules import parse_version
from posthouse.devices.backups import KeyBackups
from posthouse.http import Caller, Limit, delete


class Request(Struct, frozen=True):
    version: str


class Response(Struct, frozen=True): ...


@delete("/_matrix/client/v3/room_keys/version/{version}", Limit.KEY_BACKUP)
async def delete_room_keys_version(
    backups: KeyBackups, caller: Caller, request: Request
) -> Response:
    await backups.delete(caller.user_id, parse_version(request.version))
    return Response()
