"""Messages from device to device: stored until fetched, each delivered once.

A message takes a position in the stream of the person it is for, and is deleted when that person's
device presents a position at or after it. The record of a transaction is written with the messages
it stands for, stream by stream, so a repeat serves exactly those whom the first did not.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import orjson
import structlog

from posthouse.accounts import Accounts
from posthouse.devices import store
from posthouse.devices.queues import Queues
from posthouse.devices.service import by_stream
from posthouse.devices.settings import DevicesSettings
from posthouse.devices.signed_in import known_devices
from posthouse.devices.store import DeviceOf
from posthouse.matrix import DeviceId, UserId, server_of
from posthouse.std.clock import Clock
from posthouse.std.faults import Unavailable
from posthouse.streams import EntryKind, UserStreams, Write

_log = structlog.get_logger(__name__)

EVERY_DEVICE: Final = DeviceId("*")

BYTES_PER_ANSWER_MAX: Final = 1 << 20
"""One sync answer carries no more messages than this, and always one."""

REMEMBERED_MS: Final = 48 * 3600 * 1000
"""How long a transaction, and a claimed key, is remembered."""

_SWEEP_EVERY_S: Final = 600
_SWEPT_AT_ONCE: Final = 500


class ToDevice:
    """The post between devices."""

    def __init__(
        self,
        streams: UserStreams,
        accounts: Accounts,
        clock: Clock,
        settings: DevicesSettings,
    ) -> None:
        self._streams = streams
        self._accounts = accounts
        self._clock = clock
        self._queues = Queues(settings)
        streams.listen_reset(lambda _stream: self._queues.clear())

    # -- sending ---------------------------------------------------------------------------------

    async def send(
        self,
        sender: DeviceOf,
        txn_id: str,
        messages: Mapping[UserId, Mapping[DeviceId, bytes]],
    ) -> None:
        """Stores a message for each device named; `*` stands for the others of that person.

        The messages are events as a sync answer carries them. Unknown devices and people of other
        servers are passed over. Returns when all is durable; the same transaction again does
        nothing, and after a fault it does only what is left.
        """
        ours = [u for u in messages if server_of(u) == self._accounts.server and messages[u]]

        async def send_in_one_stream(users: list[UserId]) -> None:
            async def work(write: Write) -> None:
                await self._send(write, sender, txn_id, {user: messages[user] for user in users})

            await self._streams.write(users[0], work)

        await by_stream(self._streams, ours, send_in_one_stream)

    async def _send(
        self,
        write: Write,
        sender: DeviceOf,
        txn_id: str,
        messages: Mapping[UserId, Mapping[DeviceId, bytes]],
    ) -> None:
        served = {
            user
            for users in await store.served_by(write, sender, txn_id)
            for user in orjson.loads(users)
        }
        left = [user for user in messages if user not in served]
        if not left:
            return
        known = await known_devices(self._accounts, write, left)
        deliveries = _deliveries({user: messages[user] for user in left}, known)
        admitted = await self._queues.admits(write, [device for device, _ in deliveries], sender[0])
        accepted = [(device, content) for device, content in deliveries if device in admitted]
        if len(accepted) < len(deliveries):
            full = [device for device, _ in deliveries if device not in admitted]
            _log.info("queues of devices are full", devices=full[:10], count=len(full))
        if not accepted:
            return
        rows = []
        for (user, device_id), content in accepted:
            position = write.position(user, EntryKind.TO_DEVICE, device_id=device_id)
            rows.append((write.id_of(position), user, device_id, position, sender[0], content))
        await store.add_messages(write, rows)
        await store.remember_served(write, sender, txn_id, left[0], orjson.dumps(left))

        def count() -> None:
            for device, _ in accepted:
                self._queues.added(device, sender[0])

        write.after_commit(count)

    # -- fetching --------------------------------------------------------------------------------

    async def to_device_since(
        self, user_id: UserId, device_id: DeviceId, after: int, up_to: int, limit: int
    ) -> tuple[list[bytes], int]:
        """The events in `(after, up_to]`, oldest first, and the position they reach.

        That position is `up_to` unless more is left than one answer carries.
        """
        found = await store.messages_between(
            self._streams.reader(), user_id, device_id, after, up_to, limit
        )
        events: list[bytes] = []
        size, reached = 0, after
        for position, content in found:
            size += len(content)
            if events and size > BYTES_PER_ANSWER_MAX:
                return events, reached
            events.append(content)
            reached = position
        return events, reached if len(found) == limit else up_to

    async def acknowledge(self, user_id: UserId, device_id: DeviceId, up_to: int) -> None:
        """Deletes what a device has: it presented a token of that position, or a later one."""
        if not await store.has_messages(self._streams.reader(), user_id, device_id, up_to=up_to):
            return

        async def work(write: Write) -> None:
            await store.delete_messages(write, user_id, device_id, up_to=up_to)
            write.after_commit(lambda: self.emptied(user_id, device_id))

        await self._streams.write(user_id, work)

    def emptied(self, user_id: UserId, device_id: DeviceId) -> None:
        """Messages of a device were deleted: it may take more."""
        self._queues.fetched((user_id, device_id))

    # -- forgetting ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Forgets old transactions and claims now and then; ends by cancellation."""
        while True:
            await asyncio.sleep(_SWEEP_EVERY_S)
            try:
                while await self.sweep() >= _SWEPT_AT_ONCE:
                    pass
            except Unavailable as fault:
                _log.warning("old transactions not swept", fault=str(fault))

    async def sweep(self) -> int:
        """Deletes some of what is remembered longer than it needs to be; returns how much."""
        before_ms = self._clock.now_ms() - REMEMBERED_MS
        old = await store.expired(self._streams.reader(), before_ms=before_ms, limit=_SWEPT_AT_ONCE)

        async def sweep_one_stream(users: list[UserId]) -> int:
            async def work(write: Write) -> int:
                deletions = [deletion for user in users for deletion in old[user]]
                for statement, args in deletions:
                    await write.execute(statement, *args)
                return len(deletions)

            return await self._streams.write(users[0], work)

        return sum(await by_stream(self._streams, old, sweep_one_stream))


def _deliveries(
    messages: Mapping[UserId, Mapping[DeviceId, bytes]],
    known: Mapping[UserId, Mapping[DeviceId, str | None]],
) -> Sequence[tuple[DeviceOf, bytes]]:
    """One message for each device that is there; one that is named goes before `*`."""
    found = []
    for user, by_device in messages.items():
        for device in known.get(user, {}):
            content = by_device.get(device, by_device.get(EVERY_DEVICE))
            if content is not None:
                found.append(((user, device), content))
    return found
