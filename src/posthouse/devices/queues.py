"""How much waits for each device: a bound that nobody can use against anybody else.

A device that is signed in and never fetches would collect messages for ever. Beyond the bound its
queue takes no more, from one sender or from all, and what is sent to it meanwhile is dropped, as
if the device did not exist (docs/decisions/0004-full-to-device-queues-drop-what-comes.md).

The numbers here are estimates from above, for what is fetched isn't subtracted; before a message
is dropped the queue is counted anew.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from posthouse.devices import store
from posthouse.devices.settings import DevicesSettings
from posthouse.devices.store import DeviceOf
from posthouse.matrix import UserId
from posthouse.storage import Reader

_QUEUES_MAX: Final = 20_000


@dataclass(slots=True)
class _Queue:
    by_sender: dict[str, int] = field(default_factory=dict)
    total: int = 0
    counted: bool = False
    """Whether nothing was added since it was counted: then full is full until fetched."""


class Queues:
    """Bounded; a queue that is forgotten is counted anew."""

    def __init__(self, settings: DevicesSettings) -> None:
        self._settings = settings
        self._queues: OrderedDict[DeviceOf, _Queue] = OrderedDict()

    async def admits(
        self, reader: Reader, devices: Sequence[DeviceOf], sender: UserId
    ) -> set[DeviceOf]:
        """Those of the devices whose queue takes one more message of this sender."""
        uncounted = [device for device in devices if self._is_uncounted(device, sender)]
        if uncounted:
            found = await store.pending_by_sender(reader, {user for user, _ in uncounted})
            for device in uncounted:
                by_sender = found.get(device, {})
                self._put(device, _Queue(by_sender, sum(by_sender.values()), counted=True))
        return {d for d in devices if not self._is_full(self._queues.get(d), sender)}

    def _is_uncounted(self, device: DeviceOf, sender: UserId) -> bool:
        queue = self._queues.get(device)
        return queue is None or (self._is_full(queue, sender) and not queue.counted)

    def _put(self, device: DeviceOf, queue: _Queue) -> None:
        self._queues[device] = queue
        self._queues.move_to_end(device)
        if len(self._queues) > _QUEUES_MAX:
            self._queues.popitem(last=False)

    def added(self, device: DeviceOf, sender: UserId) -> None:
        """A message was committed."""
        queue = self._queues.get(device)
        if queue is not None:
            queue.by_sender[sender] = queue.by_sender.get(sender, 0) + 1
            queue.total += 1
            queue.counted = False

    def fetched(self, device: DeviceOf) -> None:
        """Messages were acknowledged: whether the queue is full is open again."""
        self._queues.pop(device, None)

    def clear(self) -> None:
        self._queues.clear()

    def _is_full(self, queue: _Queue | None, sender: UserId) -> bool:
        return queue is not None and (
            queue.total >= self._settings.pending_max
            or queue.by_sender.get(sender, 0) >= self._settings.pending_per_sender_max
        )
