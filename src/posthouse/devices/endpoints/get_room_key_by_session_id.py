"""GET /_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}

Returns a key in the caller's backup.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keyskeysroomidsessionid
"""

import orjson
from msgspec import Struct

from posthouse.devices.backup_rules import parse_version, spelled
from posthouse.devices.backup_views import SessionId
from posthouse.devices.backups import KeyBackups
from posthouse.http import Caller, Limit, RawJson, get
from posthouse.matrix import RoomId


class Request(Struct, frozen=True):
    room_id: RoomId
    session_id: SessionId
    version: str


@get("/_matrix/client/v3/room_keys/keys/{room_id}/{session_id}", Limit.KEY_BACKUP)
async def get_room_key_by_session_id(
    backups: KeyBackups, caller: Caller, request: Request
) -> RawJson:
    place = request.room_id, request.session_id
    key = await backups.key(caller.user_id, parse_version(request.version), place)
    return RawJson(orjson.dumps(spelled(key)))
