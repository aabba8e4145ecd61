"""What this domain asks of the ones beside and above it; `app` gives what answers."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from posthouse.devices.model import DeviceChanges
from posthouse.matrix import DeviceId, UserId
from posthouse.storage import Reader

SignedIn = Mapping[UserId, Mapping[DeviceId, str | None]]
"""By person, each signed-in device and its display name."""


class Directory(Protocol):
    """Who is signed in where: the truth of `accounts`."""

    async def devices_of(self, reader: Reader, user_ids: Sequence[UserId]) -> SignedIn:
        """The signed-in devices of these people, as the reader sees them.

        Given a `Write`, it sees them inside the transaction: what is then stored for a device is
        stored before its sign-out or not at all.
        """
        ...


class SharedRooms(Protocol):
    """Who shares encrypted rooms with whom: the truth of `rooms` and `sync`."""

    async def device_changes(self, user_id: UserId, since: str, until: str) -> DeviceChanges:
        """Whose devices changed between two sync tokens, as the person may know it.

        Raises InvalidParam for what is not a token.
        """
        ...
