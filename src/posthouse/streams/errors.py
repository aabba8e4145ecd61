"""What a stream's writer can't do just now: faults, each answered 503 with `Retry-After`."""

from posthouse.std.faults import Unavailable


class Overloaded(Unavailable):
    """More is waiting to be written than the writer may hold."""

    def __init__(self) -> None:
        super().__init__(
            "Too much is waiting to be written. Try again in a moment.", retry_after_s=1
        )


class SteppedDown(Unavailable):
    """Another process owns the stream now."""

    def __init__(self) -> None:
        super().__init__("Another process has taken over. Try again in a moment.", retry_after_s=1)
