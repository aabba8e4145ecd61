"""What this domain asks of the ones above it; `app` gives what answers."""

from typing import Protocol

from posthouse.devices.model import DeviceChanges
from posthouse.matrix import UserId


class SharedRooms(Protocol):
    """Who shares encrypted rooms with whom: the truth of `rooms` and `sync`."""

    async def device_changes(self, user_id: UserId, since: str, until: str) -> DeviceChanges:
        """Whose devices changed between two sync tokens, as the person may know it.

        Raises InvalidParam for what is not a token.
        """
        ...
