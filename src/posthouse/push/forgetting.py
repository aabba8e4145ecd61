"""Pushers end with the sign-in that set them: invariant 1 of the domain.

The facts are of `accounts` and stand in the person's log; this consumer follows them.
"""

from collections.abc import Sequence
from typing import Final

from posthouse.matrix import DeviceId
from posthouse.push.service import Pushers
from posthouse.streams import EntryKind, UserEntry


class ForgetPushers:
    """Ends pushers of devices that were signed out. Doing so twice is harmless."""

    name: str = "pushers"
    kinds: frozenset[EntryKind] = frozenset({EntryKind.SIGNED_OUT, EntryKind.DEACTIVATED})

    def __init__(self, pushers: Pushers) -> None:
        self._pushers: Final = pushers

    async def handle(self, entries: Sequence[UserEntry]) -> None:
        for entry in entries:
            if entry.kind is EntryKind.SIGNED_OUT:
                device = DeviceId(entry.device_id)
                await self._pushers.forget_device(entry.user_id, device, before=entry.position)
            elif entry.kind is EntryKind.DEACTIVATED:
                await self._pushers.forget_person(entry.user_id)
