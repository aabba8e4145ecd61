"""Rate limits: a token bucket per kind of request and person (or address, for strangers).

Whoever is limited learns how long to wait (`M_LIMIT_EXCEEDED`, `Retry-After`). The figures are
for people and their devices: a busy evening passes, a script that hammers does not.
"""

import enum
import ipaddress
import math
from collections import OrderedDict
from typing import Final

from posthouse.http.settings import LimitSettings
from posthouse.matrix import LimitExceeded
from posthouse.std.clock import Clock


class Limit(enum.Enum):
    """What is counted together, with how many at once and how many a second from then on."""

    LOGIN = "login", 10, 0.2
    REGISTER = "register", 10, 0.1
    AVAILABILITY = "availability", 30, 1.0
    """Asking whether a name or a registration token is good: it could be used to list them."""
    REFRESH = "refresh", 20, 0.5
    GUESSES = "guesses", 50, 0.2
    """Passwords tried for one account, from wherever they come."""
    ACCOUNT = "account", 10, 0.1
    """Changing the password, deactivating: each costs a password hash."""
    PROFILE = "profile", 20, 0.5
    DEVICES = "devices", 30, 0.5
    ACCOUNT_DATA = "account data", 100, 5.0
    FILTERS = "filters", 50, 1.0
    READS = "reads", 500, 50.0
    """Cheap questions: who am I, capabilities, one event, state."""
    SEND = "send", 100, 10.0
    """Events, state and redactions."""
    CREATE_ROOM = "create room", 20, 0.2
    MEMBERSHIP = "membership", 60, 1.0
    """Joining, inviting, leaving, knocking, kicking, banning."""
    TYPING = "typing", 50, 5.0
    RECEIPTS = "receipts", 100, 10.0
    PRESENCE = "presence", 20, 1.0
    HISTORY = "history", 200, 20.0
    """Back-pagination, context, relations, threads, hierarchy."""
    KEYS = "keys", 100, 5.0
    """Uploading, querying, claiming, signing, changes."""
    KEY_BACKUP = "key backup", 200, 10.0
    TO_DEVICE = "to-device", 200, 20.0
    UPLOAD = "upload", 50, 2.0
    DOWNLOAD = "download", 500, 50.0
    SEARCH = "search", 30, 1.0
    PUSH = "push", 60, 1.0
    REPORT = "report", 10, 0.1
    OPENID = "openid", 20, 0.2
    USERINFO = "userinfo", 500, 50.0
    """Services that ask whose OpenID token they were given: few addresses for many people."""
    CALLS = "calls", 60, 2.0
    """TURN credentials, RTC tokens, delayed events."""

    def __init__(self, label: str, burst: int, per_second: float) -> None:
        self.label: Final = label
        self.burst: Final = burst
        self.per_second: Final = per_second


class RateLimiter:
    """Buckets in a bounded map, the longest unused forgotten first.

    A bucket that is forgotten was full or nearly so, unless more than `keys_max` people are busy.
    """

    __slots__ = ("_buckets", "_clock", "_enabled", "_factor", "_keys_max")

    def __init__(self, settings: LimitSettings, clock: Clock) -> None:
        self._enabled = settings.enabled
        self._factor = settings.factor
        self._keys_max = settings.keys_max
        self._clock = clock
        # What is left in the bucket, and when that was so.
        self._buckets: OrderedDict[tuple[Limit, str], tuple[float, float]] = OrderedDict()

    def take(self, limit: Limit, key: str, cost: float = 1.0) -> None:
        """Takes from a bucket, or raises `LimitExceeded` and takes nothing."""
        if not self._enabled:
            return
        burst = max(
            1.0, limit.burst * self._factor
        )  # at least one passes, however small the factor
        rate = limit.per_second * self._factor
        now = self._clock.monotonic()
        place = (limit, key)
        left, then = self._buckets.get(place, (burst, now))
        left = min(burst, left + (now - then) * rate)
        if left < cost:
            raise LimitExceeded(retry_after_ms=math.ceil((min(cost, burst) - left) / rate * 1000))
        self._buckets[place] = (left - cost, now)
        self._buckets.move_to_end(place)
        if len(self._buckets) > self._keys_max:
            self._buckets.popitem(last=False)


def address_key(address: str) -> str:
    """The key of a stranger: an IPv4 address, or the /64 that an IPv6 subscriber has whole."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
