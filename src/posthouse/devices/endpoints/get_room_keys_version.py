"""GET /_matrix/client/v3/room_keys/version/{version}

Shows a version of the caller's key backup.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keysversionversion
"""

from msgspec import Struct

from posthouse.devices.backup_rules import parse_version
from posthouse.devices.backup_views import BackupView
from posthouse.devices.backups import KeyBackups
from posthouse.http import Caller, Limit, get


class Request(Struct, frozen=True):
    version: str


@get("/_matrix/client/v3/room_keys/version/{version}", Limit.KEY_BACKUP)
async def get_room_keys_version(
    backups: KeyBackups, caller: Caller, request: Request
) -> BackupView:
    return BackupView.of(await backups.version(caller.user_id, parse_version(request.version)))
