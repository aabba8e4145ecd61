"""Which devices there are: those that somebody is signed in on, and the one that is asleep.

The first are the truth of `accounts`, the second lies here. Given a `Write`, both are read inside
its transaction, so that what is stored for a device comes before its end or not at all.
"""

from collections.abc import Sequence

from posthouse.accounts import Accounts
from posthouse.devices import store
from posthouse.devices.errors import SignedOut
from posthouse.matrix import DeviceId, UserId
from posthouse.storage import Reader
from posthouse.streams import Write


async def known_devices(
    accounts: Accounts, reader: Reader | Write, users: Sequence[UserId]
) -> dict[UserId, dict[DeviceId, str | None]]:
    """The devices that others may send to, with their names; dehydrated ones included."""
    known = await accounts.devices_of(reader, users)
    for user, device, name in await store.dehydrated_devices_of(reader, users):
        known.setdefault(user, {})[device] = name
    return known


async def check_signed_in(
    accounts: Accounts, write: Write, user_id: UserId, device_id: DeviceId
) -> None:
    """Raises SignedOut for a device that was authenticated a moment ago, and left since."""
    signed_in = await accounts.devices_of(write, [user_id])
    if device_id not in signed_in.get(user_id, {}):
        raise SignedOut()
