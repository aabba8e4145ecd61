"""Names of rooms: who may give and take them, and that a room doesn't claim another's.

https://spec.matrix.org/v1.19/client-server-api/#room-aliases
"""

from posthouse.directory import Directory
from posthouse.http import Caller
from posthouse.matrix import (
    Membership,
    Refusal,
    RoomAlias,
    RoomId,
    UserId,
    event_types,
    parse_room_alias,
    parse_room_id,
)
from posthouse.rooms.canonical_alias import CANONICAL_ALIAS, aliases_in
from posthouse.rooms.errors import NoSuchRoom, NotYoursToName
from posthouse.rooms.listing import RoomListing
from posthouse.rooms.memory import RoomMemory
from posthouse.rooms.room import POWER_LEVELS, Room
from posthouse.rooms.service import Rooms
from posthouse.rooms.views import RoomViews


class RoomNames:
    """Aliases and the directory, as far as a room has a say in them."""

    def __init__(
        self,
        *,
        rooms: Rooms,
        memory: RoomMemory,
        views: RoomViews,
        directory: Directory,
        listing: RoomListing,
    ) -> None:
        self._rooms = rooms
        self._memory = memory
        self._views = views
        self._directory = directory
        self._listing = listing

    async def room_named(self, room_id_or_alias: str) -> RoomId:
        """The room that an id or an alias means, whether there is one of that id or not.

        Raises InvalidParam for what is neither, NoSuchAlias for a name that leads nowhere.
        """
        if room_id_or_alias.startswith("#"):
            return await self._directory.room_of(parse_room_alias(room_id_or_alias))
        return parse_room_id(room_id_or_alias)

    async def name(self, caller: Caller, room_id: RoomId, alias: str) -> None:
        """Gives a room one more name. Whoever is in it may."""
        wanted = self._directory.new_alias(alias)
        await self._rooms.check_joined(caller.user_id, room_id)
        await self._directory.add(wanted, room_id, caller.user_id)

    async def unname(self, caller: Caller, alias: RoomAlias) -> None:
        """Takes a name away: whoever gave it, whoever may say what the room is called, an admin.

        A room that shows the name stops to, where the caller may say so.
        """
        known = await self._directory.alias(alias)
        room = await self._memory.get(known.room_id)
        may_name = room is not None and await self._may_name(room, caller.user_id)
        if not (may_name or caller.is_admin or known.creator == caller.user_id):
            raise NotYoursToName()
        await self._directory.remove(alias, known.room_id)
        if room is not None and may_name:
            await self._stop_showing(caller.user_id, room, alias)

    async def aliases(self, caller: Caller, room_id: RoomId) -> list[RoomAlias]:
        """All names of a room, for those who may know its state now."""
        await self._views.check_knows_state_now(caller.user_id, room_id)
        return await self._directory.aliases_of(room_id)

    async def set_published(self, caller: Caller, room_id: RoomId, *, published: bool) -> None:
        """Puts a room into the directory or takes it out. Raises NoSuchRoom to who isn't in it."""
        room = await self._memory.get(room_id)
        if room is None:
            raise NoSuchRoom()
        if not caller.is_admin:
            if not await self._is_joined(room, caller.user_id):
                raise NoSuchRoom()
            if not await self._may_name(room, caller.user_id):
                raise NotYoursToName()
        if published:
            await self._listing.publish(room)
        else:
            await self._directory.unpublish(room_id)

    async def is_published(self, room_id: RoomId) -> bool:
        """A room that isn't there looks as one that isn't published."""
        return await self._directory.is_published(room_id)

    async def _may_name(self, room: Room, user_id: UserId) -> bool:
        if not await self._is_joined(room, user_id):
            return False
        await self._memory.fill(room, [POWER_LEVELS])
        levels = room.power_of(room.current(*POWER_LEVELS))
        return levels.may_send(user_id, event_types.CANONICAL_ALIAS, is_state=True)

    async def _is_joined(self, room: Room, user_id: UserId) -> bool:
        await self._memory.fill(room, [(event_types.MEMBER, user_id)])
        standing = room.current(event_types.MEMBER, user_id)
        return standing is not None and standing.membership == Membership.JOIN

    async def _stop_showing(self, user_id: UserId, room: Room, alias: RoomAlias) -> None:
        await self._memory.fill(room, [CANONICAL_ALIAS])
        shown = room.current(*CANONICAL_ALIAS)
        if shown is None or alias not in set(aliases_in(shown.content)):
            return
        content = {**shown.content}
        if content.get("alias") == alias:
            del content["alias"]
        if "alt_aliases" in content:
            content["alt_aliases"] = [other for other in content["alt_aliases"] if other != alias]
        try:
            await self._rooms.set_state(user_id, room.room_id, *CANONICAL_ALIAS, content)
        except Refusal:
            # The name is gone; what the room says of it is the room's to mend.
            return
