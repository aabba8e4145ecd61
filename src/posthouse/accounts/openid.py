"""OpenID tokens: how a person shows another service who they are, without an access token.

Signed instead of stored, as authentication sessions are (docs/decisions/0003): a token says "this
server's user, asked for on this device, not long ago". What it says is held against what is so now:

(1) A token is good for an hour, and no longer than its device is signed in.
(2) It is good for nothing else: it has another form than an access token, and names nobody to
    `authenticate`.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

from posthouse.accounts import store
from posthouse.http import Caller
from posthouse.matrix import DeviceId, UnknownToken, UserId
from posthouse.std.clock import Clock
from posthouse.streams import UserStreams

LIFETIME_S: Final = 3_600

_PREFIX: Final = "pho_"
_DEVICE_BYTES: Final = 16
_TIME_BYTES: Final = 8
_MAC_BYTES: Final = 32
_LENGTH_MAX: Final = 512


class OpenIdTokens:
    """Gives out tokens, and tells whose they are."""

    def __init__(self, key: bytes, streams: UserStreams, clock: Clock) -> None:
        self._key = key
        self._streams = streams
        self._clock = clock

    def issue(self, caller: Caller) -> str:
        expires_ms = self._clock.now_ms() + LIFETIME_S * 1000
        said = (
            expires_ms.to_bytes(_TIME_BYTES, "big")
            + self._tag(caller.device_id)
            + caller.user_id.encode()
        )
        return _PREFIX + base64.urlsafe_b64encode(self._mac(said) + said).decode()

    async def owner_of(self, token: str) -> UserId:
        """Who asked for a token. Raises UnknownToken for one that isn't, or not any more, good."""
        user_id, device_tag = self._parse(token)
        # A closed account has no devices.
        devices = await store.devices_of(self._streams.reader(), user_id)
        if not any(self._tag(device.device_id) == device_tag for device in devices):
            raise UnknownToken
        return user_id

    def _parse(self, token: str) -> tuple[UserId, bytes]:
        encoded = token.removeprefix(_PREFIX)
        if encoded == token or len(token) > _LENGTH_MAX:
            raise UnknownToken
        try:
            raw = base64.b64decode(encoded, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise UnknownToken from None
        mac, said = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(said)):
            raise UnknownToken
        if self._clock.now_ms() >= int.from_bytes(said[:_TIME_BYTES], "big"):
            raise UnknownToken
        tag = said[_TIME_BYTES : _TIME_BYTES + _DEVICE_BYTES]
        return UserId(said[_TIME_BYTES + _DEVICE_BYTES :].decode()), tag

    def _tag(self, device_id: DeviceId) -> bytes:
        """A device's name that only this server reads: it is no other service's business."""
        return hmac.new(self._key, b"device" + device_id.encode(), hashlib.sha256).digest()[
            :_DEVICE_BYTES
        ]

    def _mac(self, said: bytes) -> bytes:
        return hmac.new(self._key, b"token" + said, hashlib.sha256).digest()
