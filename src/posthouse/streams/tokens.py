"""Sync tokens: a position in everything one device follows, in one self-contained string.

Any process answers any token. The text is base64url of varints: version, generation, split levels,
a position and a second serial for each room stream, two positions in the person's own stream
(to-device messages; everything else), the epoch and serial of what isn't durable, a short tag of
the device, and a checksum against mistyped or cut tokens. It grants nothing: whoever forges one
reads only what their access token lets them read.
"""

import base64
import binascii
import hashlib
import re
import zlib
from dataclasses import dataclass, replace
from functools import lru_cache

from posthouse.matrix import InvalidParam
from posthouse.streams.levels import LEVEL_MAX

_VERSION = 1
_LENGTH_MAX = 65_536
_ROOM_TOKEN = re.compile(r"t([0-9a-f]{1,8})_([0-9a-f]{1,10})")
"""Bounded as generations (31 bits) and positions (40) are: no database is asked for more."""


@dataclass(frozen=True, slots=True)
class SyncToken:
    """How far one device has read.

    `rooms[i]` is the position in room stream i of split level `room_level`, `touched[i]` its second
    serial. `epoch` names the run of the process that counted `serial`.
    """

    generation: int
    room_level: int
    rooms: tuple[int, ...]
    touched: tuple[int, ...]
    user_level: int
    to_device: int
    user: int
    epoch: int
    serial: int
    device: int

    def encode(self) -> str:
        numbers = bytearray((_VERSION,))
        _put(numbers, self.generation)
        numbers.append(self.room_level)
        for position in self.rooms:
            _put(numbers, position)
        for serial in self.touched:
            _put(numbers, serial)
        numbers.append(self.user_level)
        for number in (self.to_device, self.user, self.epoch, self.serial, self.device):
            _put(numbers, number)
        numbers += (zlib.crc32(numbers) & 0xFFFF).to_bytes(2, "big")
        return base64.urlsafe_b64encode(numbers).rstrip(b"=").decode()

    def at_level(self, room_level: int, user_level: int) -> "SyncToken":
        """The same place after streams have split: each child starts at its parent's head.

        Raises InvalidParam for a token of a deeper split than the database has.
        """
        if room_level == self.room_level and user_level == self.user_level:
            return self
        if room_level < self.room_level or user_level < self.user_level:
            raise _malformed("it is of a database with more streams")
        copies = 1 << (room_level - self.room_level)
        return replace(
            self,
            room_level=room_level,
            user_level=user_level,
            rooms=tuple(p for p in self.rooms for _ in range(copies)),
            touched=tuple(s for s in self.touched for _ in range(copies)),
        )


def decode_sync_token(text: str) -> SyncToken:
    """Raises InvalidParam for what is not a token of this kind."""
    if len(text) > _LENGTH_MAX:
        raise _malformed("it is too long")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed("it is not base64url") from error
    if len(data) < 4 or data[0] != _VERSION:
        raise _malformed("it is of an unknown version")
    body = data[:-2]
    if zlib.crc32(body) & 0xFFFF != int.from_bytes(data[-2:], "big"):
        raise _malformed("its checksum is wrong")
    try:
        return _read(body)
    except IndexError as error:
        raise _malformed("it is cut short") from error


@lru_cache(maxsize=65_536)
def device_tag(device_id: str) -> int:
    """A short name of a device in its tokens: whoever presents another's deletes nothing."""
    return int.from_bytes(hashlib.sha256(device_id.encode()).digest()[:3], "big")


@dataclass(frozen=True, slots=True)
class RoomToken:
    """A place between two entries of one room's log, for `/messages`, `from` and `to`.

    `position` is that of the entry just before the place.
    """

    generation: int
    position: int

    def encode(self) -> str:
        return f"t{self.generation:x}_{self.position:x}"


def decode_room_token(text: str) -> RoomToken | None:
    """A room token, or None where the text is not of its shape (it may be a sync token)."""
    found = _ROOM_TOKEN.fullmatch(text)
    return RoomToken(int(found[1], 16), int(found[2], 16)) if found else None


def _read(body: bytes) -> SyncToken:
    at = 1

    def take() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = body[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if value >> 63:
                raise _malformed("a number in it is too large")
            if byte < 0x80:
                return value
            shift += 7

    generation = take()
    room_level = take()
    if room_level > LEVEL_MAX:
        raise _malformed("its split level is unknown")
    count = 1 << room_level
    rooms = tuple([take() for _ in range(count)])
    touched = tuple([take() for _ in range(count)])
    user_level, to_device, user, epoch, serial, device = [take() for _ in range(6)]
    if user_level > LEVEL_MAX or at != len(body):
        raise _malformed("it does not end where it should")
    return SyncToken(
        generation, room_level, rooms, touched, user_level, to_device, user, epoch, serial, device
    )


def _put(out: bytearray, number: int) -> None:
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def _malformed(why: str) -> InvalidParam:
    return InvalidParam(f"The sync token can't be read: {why}. Use one that this server gave.")
