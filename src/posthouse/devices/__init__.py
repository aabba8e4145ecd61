"""Devices' public keys, cross-signing, messages from device to device, and the key backup.

Owns identity, one-time and fallback keys, cross-signing keys and signatures, what waits for a
device, the dehydrated device and the backups of room keys. Nothing here can be read by the
server's operator that isn't public or encrypted by clients, unless a client sends it in clear.
What others rely on:

(1) A one-time key is given out once, also under a race, and also when its upload is repeated.
(2) What changes what others see of a person's devices appends one entry DEVICE_KEYS to the
    person's log, in the same transaction; the same keys again append nothing. What an entry means
    is `KeyChange`'s to say.
(3) A to-device message is delivered in order, stored once for each transaction, and deleted only
    when its device has presented a position at or after it.
(4) Keys of a device are given out only while `accounts` knows the device, or it is somebody's
    dehydrated one; nothing is stored for any other. What a sign-out takes away is what was there
    before it.
(5) Signatures made by a user-signing key, and that key itself, are shown to their owner alone.
"""

from posthouse.devices.backups import KeyBackups
from posthouse.devices.cross_signing import CrossSigning
from posthouse.devices.dehydration import DehydratedDevices
from posthouse.devices.forgetting import ForgetSignedOut
from posthouse.devices.model import (
    CrossSigningKey,
    DeviceChanges,
    KeyChange,
    KeyCounts,
    KeyUpload,
    NewKey,
    Usage,
)
from posthouse.devices.service import Devices, empty_one_time_keys
from posthouse.devices.settings import DevicesSettings
from posthouse.devices.shared_rooms import SharedRooms
from posthouse.devices.to_device import ToDevice

__all__ = [
    "CrossSigning",
    "CrossSigningKey",
    "DehydratedDevices",
    "DeviceChanges",
    "Devices",
    "DevicesSettings",
    "ForgetSignedOut",
    "KeyBackups",
    "KeyChange",
    "KeyCounts",
    "KeyUpload",
    "NewKey",
    "SharedRooms",
    "ToDevice",
    "Usage",
    "empty_one_time_keys",
]
