"""Which access tokens are known to be good, so that a request costs no query.

(1) After a sign-out is answered its tokens are in no cache: `forget` runs between the commit and
    the answer.
(2) A token that was read from the database before a sign-out is not put in after it: `put` takes
    the `mark` from before the read, and refuses where anything was forgotten since.
"""

from typing import Final

from posthouse.http import Caller
from posthouse.matrix import DeviceId, UserId

TOKENS_MAX: Final = 100_000


class _Entry:
    __slots__ = ("caller", "expires_ms", "used")

    def __init__(self, caller: Caller, expires_ms: int | None) -> None:
        self.caller = caller
        self.expires_ms = expires_ms
        self.used = True


class TokenCache:
    """By hash of the token; bounded: the entry that came first goes first."""

    def __init__(self, tokens_max: int = TOKENS_MAX) -> None:
        self._tokens_max = tokens_max
        self._entries: dict[bytes, _Entry] = {}
        self._of_user: dict[UserId, set[bytes]] = {}
        self.mark = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, token_hash: bytes, now_ms: int) -> Caller | None:
        entry = self._entries.get(token_hash)
        if entry is None or (entry.expires_ms is not None and entry.expires_ms <= now_ms):
            return None
        entry.used = True
        return entry.caller

    def put(self, caller: Caller, expires_ms: int | None, *, mark: int) -> None:
        if mark != self.mark:
            return
        if len(self._entries) >= self._tokens_max:
            self._drop(next(iter(self._entries)))
        self._entries[caller.token_id] = _Entry(caller, expires_ms)
        self._of_user.setdefault(caller.user_id, set()).add(caller.token_id)

    def forget(self, user_id: UserId, device_id: DeviceId | None = None) -> None:
        """Drops the tokens of a device, or of all devices of the person."""
        self.mark += 1
        for token_hash in list(self._of_user.get(user_id, ())):
            if device_id is None or self._entries[token_hash].caller.device_id == device_id:
                self._drop(token_hash)

    def clear(self) -> None:
        self.mark += 1
        self._entries.clear()
        self._of_user.clear()

    def take_used(self) -> list[tuple[UserId, DeviceId]]:
        """The devices that were heard of since the last time this was asked."""
        used = []
        for entry in self._entries.values():
            if entry.used:
                entry.used = False
                used.append((entry.caller.user_id, entry.caller.device_id))
        return used

    def _drop(self, token_hash: bytes) -> None:
        entry = self._entries.pop(token_hash)
        mine = self._of_user[entry.caller.user_id]
        mine.discard(token_hash)
        if not mine:
            del self._of_user[entry.caller.user_id]
