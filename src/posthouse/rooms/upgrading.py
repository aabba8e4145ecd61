"""Replacing a room by a new one of another version: what goes over, and in which order.

The two rooms are in two logs, and names in a third place, so this is several commits.

(1) Until the tombstone nothing leads to the new room, which is whole by then: an upgrade that was
    cut short before it is begun again.
(2) What comes after the tombstone can be done twice: asked for once more, it is finished.

https://spec.matrix.org/v1.19/client-server-api/#server-behaviour-19
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import orjson
import structlog

from posthouse.accounts import Accounts
from posthouse.matrix import (
    EventId,
    Membership,
    PowerLevels,
    Refusal,
    RoomId,
    RoomVersion,
    UserId,
    event_types,
    initial_power_levels,
    room_version,
)
from posthouse.rooms import store
from posthouse.rooms.creation import Wish, create_content, member_content
from posthouse.rooms.errors import CannotUpgrade
from posthouse.rooms.facts import SPACE
from posthouse.rooms.judging import Draft
from posthouse.rooms.listing import RoomListing
from posthouse.rooms.memory import RoomMemory
from posthouse.rooms.model import JsonObject
from posthouse.rooms.reading import Reading
from posthouse.rooms.room import CREATE, POWER_LEVELS, Room
from posthouse.rooms.service import Rooms
from posthouse.rooms.succession import carry_over, replaces
from posthouse.streams import RoomStreams

_log = structlog.get_logger(__name__)

_CARRIED: Final = (
    event_types.JOIN_RULES,
    event_types.HISTORY_VISIBILITY,
    event_types.GUEST_ACCESS,
    event_types.ENCRYPTION,
    event_types.SERVER_ACL,
    event_types.NAME,
    event_types.AVATAR,
    event_types.TOPIC,
    event_types.CANONICAL_ALIAS,
)
"""State with the empty key that the new room begins with. Power levels come last, so that whoever
makes the room may set all the rest."""

_CHILDREN_MAX: Final = 2_000
_BANS_MAX: Final = 10_000
_AT_ONCE: Final = 50

_TOMBSTONE: Final = (event_types.TOMBSTONE, "")
_QUIET_LEVEL: Final = 50


class Upgrades:
    """The verb."""

    def __init__(
        self,
        *,
        rooms: Rooms,
        memory: RoomMemory,
        reading: Reading,
        streams: RoomStreams,
        accounts: Accounts,
        listing: RoomListing,
    ) -> None:
        self._rooms = rooms
        self._memory = memory
        self._reading = reading
        self._streams = streams
        self._accounts = accounts
        self._listing = listing

    async def upgrade(
        self,
        actor: UserId,
        room_id: RoomId,
        version_name: str,
        additional_creators: Sequence[str] = (),
    ) -> RoomId:
        """The new room. One that replaces this room already, in that version, is answered again."""
        version = room_version(version_name)
        await self._rooms.check_joined(actor, room_id)
        old = await self._memory.get(room_id)
        if old is None:
            raise CannotUpgrade()
        await self._memory.fill(old, [CREATE, POWER_LEVELS, _TOMBSTONE])
        levels = old.power_of(old.current(*POWER_LEVELS))
        if not levels.may_send(actor, event_types.TOMBSTONE, is_state=True):
            raise CannotUpgrade()
        known = await self._successor(old, version)
        if known is not None:
            await self._finish(actor, old, known, levels)
            return known.room_id
        new = await self._found_successor(actor, old, version, additional_creators)
        await self._carry_the_many(actor, old, new)
        given = await self._levels_for(actor, old, new)
        await self._rooms.set_state(actor, new.room_id, *POWER_LEVELS, given)
        content = {"body": "This room has been replaced.", "replacement_room": new.room_id}
        await self._rooms.set_state(actor, room_id, *_TOMBSTONE, content)
        await self._finish(actor, old, new, levels)
        return new.room_id

    async def _finish(self, actor: UserId, old: Room, new: Room, levels: PowerLevels) -> None:
        """What comes after the tombstone; done again, it changes nothing."""
        await self._listing.succeed(old, new)
        await self._quieten(actor, old, levels)
        await _unless_refused(_bound(carry_over, self._memory, self._accounts, actor, new.room_id))

    async def _successor(self, old: Room, version: RoomVersion) -> Room | None:
        """The room that the tombstone names, where both rooms agree on it."""
        tombstone = old.current(*_TOMBSTONE)
        named = tombstone.content.get("replacement_room") if tombstone is not None else None
        if not isinstance(named, str):
            return None
        new = await self._memory.get(RoomId(named))
        if new is None or new.version is not version:
            return None
        return new if await replaces(self._memory, new, old) else None

    async def _found_successor(
        self, actor: UserId, old: Room, version: RoomVersion, additional_creators: Sequence[str]
    ) -> Room:
        create = old.current(*CREATE)
        assert create is not None, "the create event is always in memory"
        kept = {key: create.content[key] for key in ("type", "m.federate") if key in create.content}
        wish = Wish(
            preset="private_chat",
            creation_content={
                **kept,
                "predecessor": _predecessor(old, version),
                "additional_creators": [user for user in additional_creators if user != actor],
            },
        )
        content = create_content(wish, actor, version)
        place = self._streams.head(old.stream)
        states = await self._reading.states_of_types({old: place}, _CARRIED)
        profile = await self._accounts.profile_of(actor)
        drafts = [Draft(event_types.MEMBER, actor, member_content("join", profile), actor)]
        drafts += [
            Draft(event.type, actor, orjson.loads(event.content), "") for event in states[old]
        ]
        return await self._rooms.found(actor, version, content, drafts)

    async def _carry_the_many(self, actor: UserId, old: Room, new: Room) -> None:
        """The children of a space, and who is banned: many, and each an event of its own."""
        verbs: list[Callable[[], Awaitable[object]]] = []
        create = new.current(*CREATE)
        if create is not None and create.content.get("type") == SPACE:
            place = self._streams.head(old.stream)
            for event in await self._reading.state_of_type(
                old, event_types.SPACE_CHILD, place, _CHILDREN_MAX
            ):
                content = orjson.loads(event.content)
                if content.get("via") and event.state_key:
                    verbs.append(
                        _bound(
                            self._rooms.set_state,
                            actor,
                            new.room_id,
                            event.type,
                            event.state_key,
                            content,
                        )
                    )
        banned = await store.member_ids(self._memory.reader(), old.key, Membership.BAN, _BANS_MAX)
        verbs += [_bound(self._rooms.ban, actor, new.room_id, user_id) for user_id in banned]
        for first in range(0, len(verbs), _AT_ONCE):
            async with asyncio.TaskGroup() as group:
                for verb in verbs[first : first + _AT_ONCE]:
                    group.create_task(_unless_refused(verb))

    async def _levels_for(self, actor: UserId, old: Room, new: Room) -> dict[str, Any]:
        create = new.current(*CREATE)
        assert create is not None, "the create event is always in memory"
        standing = old.current(*POWER_LEVELS)
        content = (
            standing.content
            if standing is not None
            else initial_power_levels(old.version, old.creator)
        )
        creators = (actor, *create.content.get("additional_creators", ()))
        return levels_for(content, old.version, new.version, creators)

    async def _quieten(self, actor: UserId, old: Room, levels: PowerLevels) -> None:
        """Makes the old room one that is only read, as far as the person may."""
        standing = old.current(*POWER_LEVELS)
        if standing is None:
            return
        least = max(_QUIET_LEVEL, levels.users_default + 1)
        content = {
            **standing.content,
            "events_default": max(levels.events_default, least),
            "invite": max(levels.invite, least),
        }
        await _unless_refused(
            _bound(self._rooms.set_state, actor, old.room_id, *POWER_LEVELS, content)
        )


def levels_for(
    content: JsonObject, old: RoomVersion, new: RoomVersion, creators: Sequence[str]
) -> dict[str, Any]:
    """The power levels of the room that replaces one with these; `creators` are the new room's."""
    users = dict(content.get("users", {}))
    given = {**content, "users": users}
    if not new.creators_are_infinite:
        if old.creators_are_infinite:
            # Who stood above all levels has none in `users`, and here nobody does.
            users[creators[0]] = max([100, *users.values()])
        return given
    for creator in creators:
        users.pop(creator, None)
    events = dict(content.get("events", {}))
    state_default = content.get("state_default", 50)
    if events.get(event_types.TOMBSTONE, state_default) <= state_default:
        # Only creators replace the room, unless somebody says otherwise (since v1.16).
        events[event_types.TOMBSTONE] = max(150, state_default + 1)
    given["events"] = events
    return given


def _predecessor(old: Room, version: RoomVersion) -> Mapping[str, str]:
    predecessor: dict[str, str] = {"room_id": old.room_id}
    if not version.room_id_is_create_hash:
        # Left out from version 12 on; clients of older rooms look for it.
        predecessor["event_id"] = old.head.event_id or EventId("")
    return predecessor


def _bound(verb: Callable[..., Awaitable[object]], *args: Any) -> Callable[[], Awaitable[object]]:
    return lambda: verb(*args)


async def _unless_refused(verb: Callable[[], Awaitable[object]]) -> None:
    """What the new room's rules refuse is left behind; the upgrade goes on."""
    try:
        await verb()
    except Refusal as refusal:
        _log.info("not carried over", why=refusal.message)
