"""Pushers: set, listed and ended. Telling the apps comes with the delivery of push."""

from typing import Final

from posthouse.accounts import Accounts
from posthouse.http import Caller
from posthouse.matrix import DeviceId, UnknownToken, UserId
from posthouse.push import store
from posthouse.push.errors import TooManyPushers
from posthouse.push.model import Pusher
from posthouse.push.settings import PushSettings
from posthouse.push.store import Holder
from posthouse.streams import EntryKind, UserStreams, Write

_HOLDERS_AT_ONCE: Final = 100


class Pushers:
    """Everybody's pushers."""

    def __init__(self, streams: UserStreams, accounts: Accounts, settings: PushSettings) -> None:
        self._streams = streams
        self._accounts = accounts
        self._settings = settings

    async def of(self, user_id: UserId) -> list[Pusher]:
        return await store.pushers_of(self._streams.reader(), user_id)

    async def set(self, caller: Caller, pusher: Pusher, *, append: bool) -> None:
        """Keeps a pusher; without `append`, takes its address away from everybody else."""
        user_id = caller.user_id
        holders = await self._holders(pusher.app_id, pusher.pushkey)
        newest_ms = max((holder.set_ms for holder in holders), default=0)

        async def work(write: Write) -> None:
            signed_in = await self._accounts.devices_of(write, [user_id])
            if caller.device_id not in signed_in.get(user_id, {}):
                raise UnknownToken
            theirs = await store.pushers_of(write, user_id)
            addresses = {(one.app_id, one.pushkey) for one in theirs}
            is_new = (pusher.app_id, pusher.pushkey) not in addresses
            if is_new and len(theirs) >= self._settings.pushers_max:
                raise TooManyPushers
            position = write.append(user_id, EntryKind.PUSHERS, device_id=caller.device_id)
            # Later than those that it takes the place of, whatever their clock said.
            set_ms = max(write.now_ms, newest_ms + 1)
            await store.put_pusher(write, user_id, caller.device_id, pusher, set_ms, position)

        await self._streams.write(user_id, work)
        if not append:
            await self._leave_newest(pusher.app_id, pusher.pushkey)

    async def remove(self, user_id: UserId, app_id: str, pushkey: str) -> None:
        """Ends a pusher; one that isn't there is no error."""

        async def work(write: Write) -> None:
            if await store.delete_pusher(write, user_id, app_id, pushkey):
                write.append(user_id, EntryKind.PUSHERS)

        await self._streams.write(user_id, work)

    async def _leave_newest(self, app_id: str, pushkey: str) -> None:
        """Invariant 2. Of people who set the same address at once, the one who looks last sees all
        of them, and whoever looks ends the same ones.
        """
        while len(holders := await self._holders(app_id, pushkey)) > 1:
            for holder in holders[1:]:
                await self._end(holder, app_id, pushkey)

    async def _holders(self, app_id: str, pushkey: str) -> list[Holder]:
        reader = self._streams.reader()
        return await store.holders_of(reader, app_id, pushkey, _HOLDERS_AT_ONCE)

    async def _end(self, holder: Holder, app_id: str, pushkey: str) -> None:
        async def work(write: Write) -> None:
            if await store.delete_of_holder(write, holder, app_id, pushkey):
                write.append(holder.user_id, EntryKind.PUSHERS)

        await self._streams.write(holder.user_id, work)

    # -- forgetting ------------------------------------------------------------------------------

    async def forget_device(self, user_id: UserId, device_id: DeviceId, *, before: int) -> None:
        """Ends what a signed-out device had set; what a new session of it set stays."""

        async def work(write: Write) -> None:
            if await store.delete_of_device(write, user_id, device_id, before=before):
                write.append(user_id, EntryKind.PUSHERS)

        await self._streams.write(user_id, work)

    async def forget_person(self, user_id: UserId) -> None:
        async def work(write: Write) -> None:
            if await store.delete_of_person(write, user_id):
                write.append(user_id, EntryKind.PUSHERS)

        await self._streams.write(user_id, work)
