"""GET /_matrix/client/v3/room_keys/keys/{roomId}

Returns the keys of a room in the caller's backup, as they are read: never whole in memory.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keyskeysroomid
"""

from msgspec import Struct

from posthouse.devices.backup_rules import parse_version
from posthouse.devices.backups import KeyBackups
from posthouse.http import Caller, Limit, Reply, get
from posthouse.matrix import RoomId


class Request(Struct, frozen=True):
    room_id: RoomId
    version: str


@get("/_matrix/client/v3/room_keys/keys/{room_id}", Limit.KEY_BACKUP)
async def get_room_keys_by_room_id(backups: KeyBackups, caller: Caller, request: Request) -> Reply:
    version = parse_version(request.version)
    keys = await backups.keys(caller.user_id, version, request.room_id)
    return Reply(200, {"Content-Type": "application/json"}, keys)
