"""GET /_matrix/client/v3/room_keys/version

Shows the version of the caller's key backup that takes keys now.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keysversion
"""

from posthouse.devices.backup_views import BackupView
from posthouse.devices.backups import KeyBackups
from posthouse.http import Caller, Limit, get


@get("/_matrix/client/v3/room_keys/version", Limit.KEY_BACKUP)
async def get_room_keys_version_current(backups: KeyBackups, caller: Caller) -> BackupView:
    return BackupView.of(await backups.current(caller.user_id))
