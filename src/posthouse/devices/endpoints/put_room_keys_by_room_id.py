"""PUT /_matrix/client/v3/room_keys/keys/{roomId}

Puts keys of a room into the caller's backup, each where it is better than what is there.
https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeysroomid
"""

from typing import Annotated

from msgspec import Struct

from posthouse.devices.backup_rules import parse_version
from posthouse.devices.backup_views import BODY_BYTES_MAX, ChangedView, KeyData, uploaded
from posthouse.devices.backups import KeyBackups
from posthouse.http import Caller, Limit, Query, put
from posthouse.matrix import RoomId


class Request(Struct, frozen=True):
    room_id: RoomId
    version: Annotated[str, Query()]
    sessions: dict[str, KeyData]


@put("/_matrix/client/v3/room_keys/keys/{room_id}", Limit.KEY_BACKUP, body_limit=BODY_BYTES_MAX)
async def put_room_keys_by_room_id(
    backups: KeyBackups, caller: Caller, request: Request
) -> ChangedView:
    by = caller.user_id, caller.device_id
    keys = uploaded([(request.room_id, request.sessions)])
    return ChangedView.of(await backups.put_keys(by, parse_version(request.version), keys))
