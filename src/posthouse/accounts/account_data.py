"""Account data: what a person's devices keep on the server, seen by nobody else."""

from collections.abc import Callable, Sequence

from posthouse.accounts import rules, store
from posthouse.accounts.errors import AccountDataNotFound, NotYours, TooMuchStored
from posthouse.accounts.model import AccountDatum
from posthouse.accounts.settings import AccountSettings
from posthouse.matrix import RoomId, UserId, encode_parsed, parse_json_object
from posthouse.streams import EntryKind, UserStreams, Write


class AccountData:
    """Reads and writes account data, of the account (`GLOBAL_DATA`) and by room."""

    def __init__(self, streams: UserStreams, settings: AccountSettings) -> None:
        self._streams = streams
        self._settings = settings

    async def get(self, by: UserId, user_id: UserId, room_id: RoomId, type_: str) -> bytes:
        """The content as JSON."""
        if by != user_id:
            raise NotYours
        if not rules.is_data_type(type_):
            raise AccountDataNotFound
        content = await store.account_datum(self._streams.reader(), user_id, room_id, type_)
        if content is None:
            raise AccountDataNotFound
        return content

    async def read(self, user_id: UserId, room_id: RoomId, type_: str) -> bytes | None:
        """The same for the server itself; None where nothing is stored."""
        return await store.account_datum(self._streams.reader(), user_id, room_id, type_)

    async def amend(
        self,
        user_id: UserId,
        room_id: RoomId,
        type_: str,
        change: Callable[[bytes | None], bytes | None],
    ) -> None:
        """Replaces a content by what `change` makes of it, in one step; None leaves it as it is."""

        async def work(write: Write) -> None:
            given = await store.account_datum(write, user_id, room_id, type_)
            content = change(given)
            if content is not None and content != given:
                rules.check_content(content)
                await self.write(write, user_id, room_id, type_, content)

        await self._streams.write(user_id, work)

    async def put(
        self, by: UserId, user_id: UserId, room_id: RoomId, type_: str, body: bytes
    ) -> None:
        """Stores what a client sent, unless the type is the server's own."""
        if by != user_id:
            raise NotYours
        rules.check_data_type(type_)
        # Floats are fine here: account data never becomes an event, and tags are ordered by them.
        content = encode_parsed(parse_json_object(body, allow_floats=True))
        rules.check_content(content)
        await self._streams.write(
            user_id, lambda write: self.write(write, user_id, room_id, type_, content)
        )

    async def write(
        self, write: Write, user_id: UserId, room_id: RoomId, type_: str, content: bytes
    ) -> int:
        """Part of a work: stores any type; returns the position. Refuses before it writes."""
        known = await store.account_datum(write, user_id, room_id, type_) is not None
        stored_max = self._settings.account_data_max
        if not known and await store.count_account_data(write, user_id) >= stored_max:
            raise TooMuchStored
        position = write.append(user_id, EntryKind.ACCOUNT_DATA, subject=type_)
        datum = AccountDatum(room_id, type_, content, position)
        await store.put_account_datum(write, user_id, datum)
        return position

    async def since(self, user_id: UserId, after: int, up_to: int) -> list[AccountDatum]:
        """What changed in `(after, up_to]`, in order. What changed again later isn't among it."""
        return await store.account_data_since(self._streams.reader(), user_id, after, up_to)

    async def of_rooms(
        self, user_id: UserId, rooms: Sequence[RoomId], up_to: int
    ) -> list[AccountDatum]:
        """All that is stored about some rooms and was last changed up to a position."""
        return await store.account_data_of_rooms(self._streams.reader(), user_id, rooms, up_to)
