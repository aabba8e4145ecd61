"""PUT /_matrix/client/v3/room_keys/keys

Puts keys of several rooms into the caller's backup, each where it is better than what is there.
https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeys
"""

from typing import Annotated

from msgspec import Struct

from posthouse.devices.backup_rules import parse_version
from posthouse.devices.backup_views import BODY_BYTES_MAX, ChangedView, RoomData, uploaded
from posthouse.devices.backups import KeyBackups
from posthouse.http import Caller, Limit, Query, put
from posthouse.matrix import parse_room_id


class Request(Struct, frozen=True):
    version: Annotated[str, Query()]
    rooms: dict[str, RoomData]


@put("/_matrix/client/v3/room_keys/keys", Limit.KEY_BACKUP, body_limit=BODY_BYTES_MAX)
async def put_room_keys(backups: KeyBackups, caller: Caller, request: Request) -> ChangedView:
    by = caller.user_id, caller.device_id
    keys = uploaded((parse_room_id(room), data.sessions) for room, data in request.rooms.items())
    return ChangedView.of(await backups.put_keys(by, parse_version(request.version), keys))
