"""DELETE /_matrix/client/v3/room_keys/keys

Deletes all keys from the caller's backup.
https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3room_keyskeys
"""

from typing import Annotated

from msgspec import Struct

from posthouse.devices.backup_model import Scope
from posthouse.devices.backup_rules import parse_version
from posthouse.devices.backup_views import ChangedView
from posthouse.devices.backups import KeyBackups
from posthouse.http import Caller, Limit, Query, delete


class Request(Struct, frozen=True):
    version: Annotated[str, Query()]


@delete("/_matrix/client/v3/room_keys/keys", Limit.KEY_BACKUP)
async def delete_room_keys(backups: KeyBackups, caller: Caller, request: Request) -> ChangedView:
    version = parse_version(request.version)
    return ChangedView.of(await backups.delete_keys(caller.user_id, version, Scope()))
