"""The verbs of the directory: look up, write down, list."""

from collections.abc import Sequence
from typing import Final

from posthouse.directory import rules, store
from posthouse.directory.errors import AliasTaken, NoSuchAlias, OtherServersRooms, TooManyAliases
from posthouse.directory.model import Alias, Listing, Place, Search, Way
from posthouse.matrix import InvalidParam, RoomAlias, RoomId, ServerName, UserId, server_of
from posthouse.std.clock import Clock
from posthouse.storage import Database, Owner, Reader

PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 500
TERM_LENGTH_MAX: Final = 255


class Directory:
    """Aliases and the list of published rooms."""

    def __init__(self, database: Database, server_name: ServerName, clock: Clock) -> None:
        self.server_name = server_name
        self._database = database
        self._clock = clock

    # -- aliases -------------------------------------------------------------------------------

    async def room_of(self, alias: RoomAlias) -> RoomId:
        """The room that a name leads to. Raises NoSuchAlias, also for names of other servers."""
        return (await self.alias(alias)).room_id

    async def alias(self, alias: RoomAlias) -> Alias:
        """Raises NoSuchAlias."""
        found = await self.find(alias)
        if found is None:
            raise NoSuchAlias(f"{alias} stands for no room.")
        return found

    async def find(self, alias: RoomAlias) -> Alias | None:
        if server_of(alias) != self.server_name:
            return None
        return await store.find_alias(self._reader(), alias)

    async def aliases_of(self, room_id: RoomId) -> list[RoomAlias]:
        """All names of a room, the oldest first."""
        found = await store.aliases_of_room(self._reader(), room_id, rules.ALIASES_PER_ROOM_MAX)
        return [alias.alias for alias in found]

    def new_alias(self, text: str) -> RoomAlias:
        """An alias that may be made here; raises InvalidParam for any other."""
        alias = rules.check_new_alias(text)
        if server_of(alias) != self.server_name:
            raise InvalidParam(f"Names of rooms end in :{self.server_name} here.")
        return alias

    async def add(self, alias: RoomAlias, room_id: RoomId, creator: UserId) -> None:
        """Raises AliasTaken or TooManyAliases."""
        reader = self._reader()
        if (
            await store.count_of_room(reader, room_id) >= rules.ALIASES_PER_ROOM_MAX
            or await store.count_of_creator(reader, creator) >= rules.ALIASES_PER_PERSON_MAX
        ):
            raise TooManyAliases()
        async with self._database.transaction(of=Owner.GLOBAL) as tx:
            added = await store.add_alias(tx, Alias(alias, room_id, creator, self._clock.now_ms()))
        if not added:
            raise AliasTaken(f"{alias} stands for a room already.")

    async def remove(self, alias: RoomAlias, room_id: RoomId) -> None:
        """Removes a name while it leads to this room. Raises NoSuchAlias."""
        async with self._database.transaction(of=Owner.GLOBAL) as tx:
            removed = await store.remove_alias(tx, alias, room_id)
        if not removed:
            raise NoSuchAlias(f"{alias} stands for no room.")

    # -- the list ------------------------------------------------------------------------------

    async def is_published(self, room_id: RoomId) -> bool:
        return await store.is_published(self._reader(), room_id)

    async def published_among(self, rooms: Sequence[RoomId]) -> list[RoomId]:
        return await store.published_among(self._reader(), rooms)

    async def published_after(self, room_id: str, limit: int) -> list[RoomId]:
        """All that are published, in the order of their ids, page by page from the empty text on."""
        return await store.published_after(self._reader(), room_id, limit)

    async def publish(self, listing: Listing) -> None:
        async with self._database.transaction(of=Owner.GLOBAL) as tx:
            await store.publish(tx, listing)

    async def renew(self, listings: Sequence[Listing]) -> None:
        """Takes new copies of rooms that are published."""
        async with self._database.transaction(of=Owner.GLOBAL) as tx:
            for listing in listings:
                await store.renew(tx, listing)

    async def unpublish(self, room_id: RoomId) -> None:
        """Takes a room out of the list, whether it was in it or not."""
        async with self._database.transaction(of=Owner.GLOBAL) as tx:
            await store.unpublish(tx, room_id)

    async def succeed(self, old: RoomId, new: Listing) -> None:
        """Gives a room's names and its place in the list to the room that replaces it."""
        async with self._database.transaction(of=Owner.GLOBAL) as tx:
            await store.move_aliases(tx, to=new.room_id, of=old)
            if await store.unpublish(tx, old):
                await store.publish(tx, new)

    async def public_rooms(
        self,
        *,
        server: str | None = None,
        limit: int | None = None,
        since: str | None = None,
        term: str | None = None,
        room_types: Sequence[str | None] | None = None,
    ) -> bytes:
        """A page of the list, the largest rooms first, as JSON.

        Raises OtherServersRooms, and UnreadablePage for a token that isn't one of the list's.
        """
        if server is not None and server != self.server_name:
            raise OtherServersRooms()
        if term is not None and (len(term) > TERM_LENGTH_MAX or "\0" in term):
            raise InvalidParam(f"A search has at most {TERM_LENGTH_MAX} letters.")
        search = Search(
            term="" if term is None else term.strip().casefold(),
            room_types=None if room_types is None else tuple(t or "" for t in room_types),
        )
        place = rules.place_in(since) if since else None
        size = PAGE_DEFAULT if limit is None else max(1, min(limit, PAGE_MAX))
        found = await store.page(self._reader(), search, place, size + 1)
        total = await store.count_shown(self._reader(), search)
        return _page(found, place, size, total)

    def _reader(self) -> Reader:
        return self._database.reader(of=Owner.GLOBAL)


def _page(found: Sequence[Listing], place: Place | None, size: int, total: int) -> bytes:
    """`found` is the page, nearest first, and one more where the list goes on that way."""
    goes_on = len(found) > size
    shown = list(found[:size])
    is_backwards = place is not None and place.way is Way.BACKWARDS
    if is_backwards:
        shown.reverse()
    parts = [b'"chunk":[%s]' % b",".join(listing.entry for listing in shown)]
    if shown and (goes_on or is_backwards):
        parts.append(b'"next_batch":"%s"' % _token(Way.FORWARDS, shown[-1]))
    if shown and (goes_on if is_backwards else place is not None):
        parts.append(b'"prev_batch":"%s"' % _token(Way.BACKWARDS, shown[0]))
    parts.append(b'"total_room_count_estimate":%d' % total)
    return b"{%s}" % b",".join(parts)


def _token(way: Way, listing: Listing) -> bytes:
    return rules.page_token(Place(way, listing.joined, listing.room_id)).encode()
