"""PUT /_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}

Puts a key into the caller's backup, if it is better than what is there.
https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeysroomidsessionid
"""

from typing import Annotated, Any

from msgspec import Struct

from posthouse.devices.backup_rules import parse_version
from posthouse.devices.backup_views import ChangedView, Count, KeyData, SessionId, uploaded
from posthouse.devices.backups import KeyBackups
from posthouse.http import Caller, Limit, Query, put
from posthouse.matrix import RoomId


class Request(Struct, frozen=True):
    room_id: RoomId
    session_id: SessionId
    version: Annotated[str, Query()]
    first_message_index: Count
    forwarded_count: Count
    is_verified: bool
    session_data: dict[str, Any]

    def key(self) -> KeyData:
        return KeyData(
            self.first_message_index, self.forwarded_count, self.is_verified, self.session_data
        )


@put("/_matrix/client/v3/room_keys/keys/{room_id}/{session_id}", Limit.KEY_BACKUP)
async def put_room_key_by_session_id(
    backups: KeyBackups, caller: Caller, request: Request
) -> ChangedView:
    by = caller.user_id, caller.device_id
    keys = uploaded([(request.room_id, {request.session_id: request.key()})])
    return ChangedView.of(await backups.put_keys(by, parse_version(request.version), keys))
