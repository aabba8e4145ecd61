"""A report as a value."""

from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta

from posthouse.matrix import UserId

REASON_LENGTH_MAX: Final = 1_000

Reason = Annotated[str, Meta(max_length=REASON_LENGTH_MAX)]


@dataclass(frozen=True, slots=True)
class Report:
    """What somebody reported. Text that is empty: the report isn't of that."""

    reporter: UserId
    room_id: str
    event_id: str
    user_id: str
    """Who was reported, or who sent the reported event."""
    reason: str
    reported_ms: int
