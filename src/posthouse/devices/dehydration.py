"""The dehydrated device: one that is asleep on the server, and collects keys for its owner.

A person has at most one (MSC3814). For others it is a device like any other, flagged in its keys;
nobody is signed in on it. Its owner's next device wakes it: it fetches the encrypted private keys,
then the messages that came meanwhile.

(1) What came for it is deleted with it, never by reading: a device that stops half-way begins anew.
(2) Its id is a public key, which no device that somebody signs in on can have.
"""

import re
from typing import Final

from posthouse.accounts import Accounts
from posthouse.devices import publishing, store
from posthouse.devices.errors import NoDehydratedDevice, NotDehydrated, NotYourDehydratedDevice
from posthouse.devices.model import DehydratedDevice, KeyUpload
from posthouse.devices.signed_in import check_signed_in
from posthouse.devices.store import DeviceOf
from posthouse.devices.to_device import ToDevice
from posthouse.matrix import DeviceId, InvalidParam, UserId
from posthouse.streams import EntryKind, UserStreams, Write

_EVENTS_PER_ANSWER: Final = 100
_TOKEN: Final = re.compile(r"d(0|[1-9][0-9]{0,17})")


class DehydratedDevices:
    """Everybody's dehydrated devices."""

    def __init__(self, streams: UserStreams, accounts: Accounts, to_device: ToDevice) -> None:
        self._streams = streams
        self._accounts = accounts
        self._to_device = to_device

    async def put(self, by: DeviceOf, device: DehydratedDevice, upload: KeyUpload) -> None:
        """Puts a device to sleep, in the place of the one that there was.

        The same device again keeps the messages that came for it.
        """
        user_id, new_id = by[0], device.device_id

        async def work(write: Write) -> None:
            await check_signed_in(self._accounts, write, *by)
            cross_signing = await store.cross_signing_keys_of(write, [user_id])
            if any(key.public_key == new_id for key in cross_signing.get(user_id, {}).values()):
                raise NotDehydrated("A device can't have the name of a cross-signing key.")
            old = await store.dehydrated_device(write, user_id)
            plan = await publishing.plan(write, user_id, new_id, upload)
            if old == device and plan.is_empty:
                return
            position = write.append(user_id, EntryKind.DEVICES, subject=new_id)
            if old is not None and old.device_id != new_id:
                await publishing.withdraw(write, user_id, old.device_id, before=position)
            await store.put_dehydrated_device(write, user_id, device, position)
            await publishing.carry_out(write, user_id, new_id, plan)

        await self._streams.write(user_id, work)

    async def of(self, user_id: UserId) -> DehydratedDevice:
        """Raises NoDehydratedDevice where there is none."""
        device = await store.dehydrated_device(self._streams.reader(), user_id)
        if device is None:
            raise NoDehydratedDevice()
        return device

    async def events(
        self, user_id: UserId, device_id: DeviceId, token: str | None
    ) -> tuple[list[bytes], str]:
        """The next messages behind a token, and the token behind them. Deletes nothing."""
        after = _position(token)
        device = await store.dehydrated_device(self._streams.reader(), user_id)
        if device is None or device.device_id != device_id:
            raise NotYourDehydratedDevice()
        head = self._streams.head_of(user_id)
        events, reached = await self._to_device.to_device_since(
            user_id, device_id, after, head, _EVENTS_PER_ANSWER
        )
        return events, f"d{max(after, reached)}"

    async def delete(self, user_id: UserId) -> DeviceId:
        """Deletes the device and all that came for it; returns its id."""

        async def work(write: Write) -> DeviceId:
            device = await store.dehydrated_device(write, user_id)
            if device is None:
                raise NoDehydratedDevice()
            position = write.append(user_id, EntryKind.DEVICES, subject=device.device_id)
            await store.delete_dehydrated_device(write, user_id)
            await publishing.withdraw(write, user_id, device.device_id, before=position)
            write.after_commit(lambda: self._to_device.emptied(user_id, device.device_id))
            return device.device_id

        return await self._streams.write(user_id, work)

    async def forget_person(self, user_id: UserId) -> None:
        """Deletes the device of a closed account."""
        if await store.dehydrated_device(self._streams.reader(), user_id) is not None:
            await self.delete(user_id)


def _position(token: str | None) -> int:
    if token is None:
        return 0
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise InvalidParam("This is no `next_batch` of a dehydrated device.")
    return int(match[1])
