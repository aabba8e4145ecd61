"""How much waits for each device: a bound that nobody can use against anybody else.

A device that is signed in and never fetches would collect messages for ever. Beyond the bound its
queue takes no more, from one sender or from all, and what is sent to it meanwhile is dropped, as
if the device did not exist (docs/decisions/0301-full-to-device-queues.md).

The numbers here are estimates from above, for what is fetched isn't subtracted; before a message
is dropped the queue is counted anew.
"""

from collections import OrderedDict
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

    async def has_room(self, reader: Reader, device: DeviceOf, sender: UserId) -> bool:
        """Whether a device's queue takes one more message of this sender."""
        queue = self._queues.get(device)
        if queue is None or (self._is_full(queue, sender) and not queue.counted):
            by_sender = await store.pending_by_sender(reader, device)
            queue = _Queue(by_sender, sum(by_sender.values()), counted=True)
            self._queues[device] = queue
            if len(self._queues) > _QUEUES_MAX:
                self._queues.popitem(last=False)
        self._queues.move_to_end(device)
        return not self._is_full(queue, sender)

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

    def _is_full(self, queue: _Queue, sender: UserId) -> bool:
        return (
            queue.total >= self._settings.pending_max
            or queue.by_sender.get(sender, 0) >= self._settings.pending_per_sender_max
        )
