"""Authentication sessions, signed instead of stored: any process can check any of them.

A session says "this server put a question to this person, on this device, for this request, not
long ago". It proves nothing about the person: every flow has one stage, and its proof travels in
the same request as the session. So nothing is lost by a replay, and nothing is kept.

(1) A session counts only for the operation, the person and the device it was opened for.
(2) It counts only for the parameters it was opened for. The exception is one that was opened by
    a request without parameters: clients ask `POST /register` with `{}` for its flows, and go on
    with the session of the answer.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from posthouse.matrix import DeviceId, UserId, encode_parsed

_NONCE_BYTES: Final = 9
_HEAD_BYTES: Final = 1 + 8 + _NONCE_BYTES
_MAC_BYTES: Final = 32
_OPEN: Final = 0
_BOUND: Final = 1


class Operation(Struct, frozen=True):
    """What is asked for, and by whom. `user_id` is None before there is an account."""

    name: str
    parameters: Mapping[str, Any]
    user_id: UserId | None = None
    device_id: DeviceId | None = None


class Sessions:
    """Opens and checks sessions with a key of the server's own."""

    def __init__(self, key: bytes, lifetime_ms: int) -> None:
        self._key = key
        self._lifetime_ms = lifetime_ms

    def open(self, operation: Operation, *, nonce: bytes, now_ms: int) -> str:
        kind = _BOUND if operation.parameters else _OPEN
        expires = now_ms + self._lifetime_ms
        head = bytes((kind,)) + expires.to_bytes(8, "big") + nonce[:_NONCE_BYTES]
        return base64.urlsafe_b64encode(head + self._mac(head, operation)).decode()

    def holds(self, session: str, operation: Operation, *, now_ms: int) -> bool:
        """Was it opened here, for this very operation, and is it still young enough?"""
        try:
            raw = base64.b64decode(session, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return False
        if len(raw) != _HEAD_BYTES + _MAC_BYTES:
            return False
        head, mac = raw[:_HEAD_BYTES], raw[_HEAD_BYTES:]
        if not hmac.compare_digest(mac, self._mac(head, operation)):
            return False
        return now_ms < int.from_bytes(head[1:9], "big")

    def _mac(self, head: bytes, operation: Operation) -> bytes:
        bound = head[0] != _OPEN
        said = encode_parsed(
            [
                operation.name,
                operation.user_id,
                operation.device_id,
                dict(operation.parameters) if bound else None,
            ]
        )
        return hmac.new(self._key, head + said, hashlib.sha256).digest()
