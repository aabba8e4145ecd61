"""A sync that waits, and the clock that ends waits.

A waiting poll is an object and a place in a wheel: no task, no timer of its own.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from posthouse.accounts import Filter
from posthouse.http import Caller, Exchange
from posthouse.streams import SyncToken

if TYPE_CHECKING:
    from posthouse.sync.home import Home

TIMEOUT_MS_MAX: Final = 600_000
TICK_S: Final = 0.5


class Waiter:
    """One poll: who asks, from where, with which filter."""

    __slots__ = (
        "asked_at",
        "caller",
        "deadline",
        "exchange",
        "filter",
        "full_state",
        "home",
        "is_parked",
        "since",
        "state_after",
    )

    def __init__(
        self,
        home: "Home",
        caller: Caller,
        exchange: Exchange,
        since: SyncToken | None,
        wanted: Filter,
        *,
        full_state: bool,
        state_after: bytes | None,
        deadline: float,
        asked_at: int,
    ) -> None:
        self.home = home
        self.caller = caller
        self.exchange = exchange
        self.since = since
        self.filter = wanted
        self.full_state = full_state
        self.state_after = state_after
        """The name under which the state after the timeline is asked for; None for `state`."""
        self.deadline = deadline
        """On the monotonic clock; 0 for an answer at once."""
        self.asked_at = asked_at
        """The head of the person's log then: a sign-out that came later ends the wait."""
        self.is_parked = False


class Wheel:
    """Ends waits: buckets of half a second, turned by one timer for all polls."""

    def __init__(self, now: float) -> None:
        self._buckets: dict[int, set[Waiter]] = {}
        self._next = int(now / TICK_S)

    def add(self, waiter: Waiter) -> None:
        self._buckets.setdefault(self._bucket_of(waiter), set()).add(waiter)

    def remove(self, waiter: Waiter) -> None:
        bucket = self._bucket_of(waiter)
        waiters = self._buckets.get(bucket)
        if waiters is not None:
            waiters.discard(waiter)
            if not waiters:
                del self._buckets[bucket]

    def turn(self, now: float, expire: Callable[[Waiter], None]) -> None:
        """Calls `expire` for every waiter whose time is over."""
        current = int(now / TICK_S)
        for bucket in [b for b in self._buckets if b <= current]:
            for waiter in self._buckets.pop(bucket):
                expire(waiter)
        self._next = current + 1

    def all(self) -> list[Waiter]:
        return [waiter for waiters in self._buckets.values() for waiter in waiters]

    @staticmethod
    def _bucket_of(waiter: Waiter) -> int:
        return int(waiter.deadline / TICK_S) + 1
