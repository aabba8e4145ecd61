"""Faults: what the world did, as opposed to a refusal (an answer) and a bug (ours)."""


class Unavailable(Exception):
    """A disk, a network or another machine failed; the caller may try again.

    Answered 503 with `Retry-After`. Nothing that raised this was acknowledged.
    """

    def __init__(self, reason: str, *, retry_after_s: int = 2) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s
