"""Whoever comes into the room that replaces one they know finds their own settings there.

https://spec.matrix.org/v1.19/client-server-api/#server-behaviour-19
"""

from collections.abc import Callable
from typing import Final

import orjson

from posthouse.accounts import GLOBAL_DATA, Accounts
from posthouse.matrix import RoomId, UserId, encode_parsed, event_types
from posthouse.rooms.memory import RoomMemory
from posthouse.rooms.room import CREATE, Room

_TOMBSTONE: Final = (event_types.TOMBSTONE, "")
_TAGS: Final = "m.tag"
_DIRECT: Final = "m.direct"


def predecessor_of(room: Room) -> RoomId | None:
    """The room that this one says it replaces."""
    create = room.current(*CREATE)
    named = create.content.get("predecessor") if create is not None else None
    room_id = named.get("room_id") if isinstance(named, dict) else None
    return RoomId(room_id) if isinstance(room_id, str) else None


async def replaces(memory: RoomMemory, new: Room, old: Room) -> bool:
    """Whether both rooms say so: anybody can claim a predecessor."""
    if predecessor_of(new) != old.room_id:
        return False
    await memory.fill(old, [_TOMBSTONE])
    tombstone = old.current(*_TOMBSTONE)
    return tombstone is not None and tombstone.content.get("replacement_room") == new.room_id


async def carry_over(
    memory: RoomMemory, accounts: Accounts, user_id: UserId, room_id: RoomId
) -> None:
    """Copies the person's tags, and whom they talk to in the room, from the one before it."""
    new = await memory.get(room_id)
    old_id = predecessor_of(new) if new is not None else None
    old = await memory.get(old_id) if old_id is not None else None
    if new is None or old is None or not await replaces(memory, new, old):
        return
    await memory.fill(old, [(event_types.MEMBER, user_id)])
    if old.current(event_types.MEMBER, user_id) is None:
        return
    tags = await accounts.account_data.read(user_id, old.room_id, _TAGS)
    if tags is not None:
        await accounts.account_data.amend(user_id, new.room_id, _TAGS, lambda given: given or tags)
    await accounts.account_data.amend(
        user_id, GLOBAL_DATA, _DIRECT, _also(old.room_id, new.room_id)
    )


def _also(old: RoomId, new: RoomId) -> Callable[[bytes | None], bytes | None]:
    """Adds the new room to every list of direct chats that has the old one."""

    def change(given: bytes | None) -> bytes | None:
        people = orjson.loads(given) if given is not None else {}
        lists = [
            rooms
            for rooms in people.values()
            if isinstance(rooms, list) and old in rooms and new not in rooms
        ]
        for rooms in lists:
            rooms.append(new)
        return encode_parsed(people) if lists else None

    return change
