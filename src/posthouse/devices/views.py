"""How messages to a dehydrated device look on the wire."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct


class LettersView(Struct, frozen=True):
    """A page of messages; one without any is the last."""

    events: list[msgspec.Raw]
    next_batch: str

    @classmethod
    def of(cls, events: Sequence[bytes], next_batch: str) -> "LettersView":
        return cls([msgspec.Raw(event) for event in events], next_batch)
