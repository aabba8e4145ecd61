"""Restricted rooms: whoever is in one of the rooms that the join rule names may come in.

Such a join names a member who may invite and so stands for it; the rules look at that member only,
and whether the joiner is in a named room is asked here.
https://spec.matrix.org/v1.19/client-server-api/#restricted-rooms
"""

from collections.abc import Iterable
from typing import Final

from posthouse.matrix import Membership, RoomId, UserId
from posthouse.rooms import store
from posthouse.rooms.facts import allowed_rooms
from posthouse.rooms.memory import RoomMemory
from posthouse.rooms.room import POWER_LEVELS, Room

_MEMBER: Final = "m.room.member"
_CANDIDATES_MAX: Final = 100


async def who_lets_in(memory: RoomMemory, room: Room, user_id: UserId) -> UserId | None:
    """A member who stands for the join; None where the room isn't restricted, where the person is
    in none of its rooms, or where nobody can.
    """
    rule = room.current("m.room.join_rules")
    if rule is None or not await is_let_in(memory, allowed_rooms(rule.content), user_id):
        return None
    return await _inviter(memory, room)


async def is_let_in(memory: RoomMemory, rooms: Iterable[RoomId], user_id: UserId) -> bool:
    """Whether the person is in one of the rooms that a join rule names."""
    for room_id in rooms:
        allowed = await memory.get(room_id)
        if allowed is not None and await _is_joined(memory, allowed, user_id):
            return True
    return False


async def _inviter(memory: RoomMemory, room: Room) -> UserId | None:
    """A member who may invite, the most powerful asked first."""
    levels = room.power_of(room.current(*POWER_LEVELS))
    named = sorted(levels.users.items(), key=lambda item: -item[1])
    powerful = [*levels.creators, *(user for user, level in named if level >= levels.invite)]
    for user in powerful[:_CANDIDATES_MAX]:
        if await _is_joined(memory, room, UserId(user)):
            return UserId(user)
    if levels.users_default < levels.invite:
        return None
    for user_id in await store.member_ids(memory.reader(), room.key, "join", _CANDIDATES_MAX):
        if levels.level_of(user_id) >= levels.invite:
            return user_id
    return None


async def _is_joined(memory: RoomMemory, room: Room, user_id: UserId) -> bool:
    key = (_MEMBER, user_id)
    if not room.known(key):
        await memory.fill(room, [key])
    standing = room.current(*key)
    return standing is not None and standing.membership == Membership.JOIN
