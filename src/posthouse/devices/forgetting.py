"""What is forgotten when a device is signed out, or a person leaves for good.

The facts are of `accounts` and stand in the person's log; this consumer follows them. Until it has
come that far, nothing of a signed-out device is given out all the same: whoever asks for keys asks
`accounts` who is signed in.
"""

from collections.abc import Sequence
from typing import Final

from posthouse.devices.backups import KeyBackups
from posthouse.devices.dehydration import DehydratedDevices
from posthouse.devices.service import Devices
from posthouse.matrix import DeviceId
from posthouse.streams import EntryKind, UserEntry


class ForgetSignedOut:
    """Drops keys and messages of devices that were signed out, and all that is of somebody who left.

    Doing so twice is harmless.
    """

    name: str = "devices"
    kinds: frozenset[EntryKind] = frozenset({EntryKind.SIGNED_OUT, EntryKind.DEACTIVATED})

    def __init__(
        self, devices: Devices, backups: KeyBackups, dehydrated: DehydratedDevices
    ) -> None:
        self._devices: Final = devices
        self._backups: Final = backups
        self._dehydrated: Final = dehydrated

    async def handle(self, entries: Sequence[UserEntry]) -> None:
        for entry in entries:
            if entry.kind is EntryKind.SIGNED_OUT:
                device = DeviceId(entry.device_id)
                await self._devices.forget_device(entry.user_id, device, before=entry.position)
            elif entry.kind is EntryKind.DEACTIVATED:
                await self._devices.forget_person(entry.user_id, before=entry.position)
                await self._backups.forget_person(entry.user_id)
                await self._dehydrated.forget_person(entry.user_id)
