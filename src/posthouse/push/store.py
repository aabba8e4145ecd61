"""The SQL of pushers. The table is one of people."""

from dataclasses import dataclass
from typing import Final

import msgspec

from posthouse.matrix import DeviceId, UserId
from posthouse.push.model import Pusher
from posthouse.storage import Reader
from posthouse.streams import Write

_PUSHERS: Final = "SELECT content FROM pushers WHERE user_id = $1 ORDER BY app_id, pushkey"
_DECODER: Final = msgspec.json.Decoder(Pusher)


async def pushers_of(reader: Reader | Write, user_id: UserId) -> list[Pusher]:
    return [_DECODER.decode(row[0]) for row in await reader.fetch_all(_PUSHERS, user_id)]


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody who has set a pusher with an address, and when."""

    set_ms: int
    user_id: UserId


_HOLDERS: Final = """
    SELECT set_ms, user_id FROM pushers WHERE app_id = $1 AND pushkey = $2
    ORDER BY set_ms DESC, user_id DESC LIMIT $3
"""


async def holders_of(reader: Reader, app_id: str, pushkey: str, limit: int) -> list[Holder]:
    """Who has set a pusher with this address, the newest first."""
    rows = await reader.fetch_all(_HOLDERS, app_id, pushkey, limit)
    return [Holder(row[0], UserId(row[1])) for row in rows]


_PUT: Final = """
    INSERT INTO pushers (user_id, app_id, pushkey, device_id, content, set_ms, position)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (user_id, app_id, pushkey) DO UPDATE
        SET device_id = excluded.device_id, content = excluded.content,
            set_ms = excluded.set_ms, position = excluded.position
"""


async def put_pusher(
    write: Write,
    user_id: UserId,
    device_id: DeviceId,
    pusher: Pusher,
    set_ms: int,
    position: int,
) -> None:
    await write.execute(
        _PUT,
        user_id,
        pusher.app_id,
        pusher.pushkey,
        device_id,
        msgspec.json.encode(pusher),
        set_ms,
        position,
    )


_DELETE: Final = "DELETE FROM pushers WHERE user_id = $1 AND app_id = $2 AND pushkey = $3"
_DELETE_SET_AT: Final = f"{_DELETE} AND set_ms = $4"


async def delete_pusher(write: Write, user_id: UserId, app_id: str, pushkey: str) -> int:
    return await write.execute(_DELETE, user_id, app_id, pushkey)


async def delete_of_holder(write: Write, holder: Holder, app_id: str, pushkey: str) -> int:
    """Deletes somebody's pusher unless they have set it anew."""
    return await write.execute(_DELETE_SET_AT, holder.user_id, app_id, pushkey, holder.set_ms)


_DELETE_OF_DEVICE: Final = """
    DELETE FROM pushers WHERE user_id = $1 AND device_id = $2 AND position < $3
"""
_DELETE_OF_PERSON: Final = "DELETE FROM pushers WHERE user_id = $1"


async def delete_of_device(
    write: Write, user_id: UserId, device_id: DeviceId, *, before: int
) -> int:
    """Deletes what a device had set before a position; returns how many there were."""
    return await write.execute(_DELETE_OF_DEVICE, user_id, device_id, before)


async def delete_of_person(write: Write, user_id: UserId) -> int:
    return await write.execute(_DELETE_OF_PERSON, user_id)
