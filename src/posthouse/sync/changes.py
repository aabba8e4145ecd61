"""`/keys/changes`: what `device_lists` would have said between two sync tokens."""

from posthouse.devices import DeviceChanges, Devices
from posthouse.matrix import InvalidParam, UserId
from posthouse.rooms import Reading, RoomMemory, Span
from posthouse.streams import ServerFacts, SyncToken, UserStreams, decode_sync_token
from posthouse.sync.device_lists import DeviceListReader, Stretch


class KeyChanges:
    """Answers `devices`' question about shared rooms."""

    def __init__(
        self,
        *,
        facts: ServerFacts,
        memory: RoomMemory,
        reading: Reading,
        device_lists: DeviceListReader,
        devices: Devices,
        user_streams: UserStreams,
    ) -> None:
        self._facts = facts
        self._memory = memory
        self._reading = reading
        self._device_lists = device_lists
        self._devices = devices
        self._user_streams = user_streams

    async def device_changes(self, user_id: UserId, since: str, until: str) -> DeviceChanges:
        """Whose devices changed between two sync tokens. Raises InvalidParam for other texts."""
        first, last = self._token(since), self._token(until)
        pointers = await self._reading.pointers(self._user_streams.reader(), user_id)
        rooms = await self._memory.get_many([pointer.room_id for pointer in pointers])
        sights = await self._reading.sights(list(rooms.values()), user_id) if rooms else {}
        stretches = []
        joined = []
        for room, sight in sights.items():
            index = self._facts.rooms.index_of(room.stream)
            after, up_to = first.rooms[index], last.rooms[index]
            was = sight.membership_at(after) == "join"
            now = sight.membership_at(up_to) == "join"
            if not now and (left := sight.left_at(up_to)) is not None:
                up_to = left
            if now:
                joined.append(room.room_id)
            if (was or now) and (room.position > after or was != now):
                stretches.append(Stretch(Span(room, after, up_to), was, now))
        lists = await self._device_lists.between(user_id, stretches, joined)
        lists.changed |= await self._devices.own_device_changes(user_id, first.user, last.user)
        lists.left -= lists.changed
        return DeviceChanges(sorted(lists.changed), sorted(lists.left))

    def _token(self, text: str) -> SyncToken:
        token = decode_sync_token(text)
        if token.generation != self._facts.generation:
            raise InvalidParam("The sync token is of another copy of the data. Sync anew.")
        return token.at_level(self._facts.rooms.level, self._facts.users.level)
