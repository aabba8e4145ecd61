"""Time and randomness as arguments, so that tests own both."""

import secrets
import time
from typing import Protocol


class Clock(Protocol):
    """What time it is."""

    def now_ms(self) -> int:
        """Wall-clock time, milliseconds since 1970 UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run back; for waits and leases."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


class Randomness(Protocol):
    """Where unguessable bytes come from."""

    def token_bytes(self, count: int) -> bytes: ...

    def token_urlsafe(self, count: int) -> str: ...


class SystemRandomness:
    """The operating system's generator."""

    def token_bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)

    def token_urlsafe(self, count: int) -> str:
        return secrets.token_urlsafe(count)
