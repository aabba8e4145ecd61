"""Which stream a room or a person belongs to, and how streams split.

With S = 2^L streams of a kind, an identifier belongs to the one whose number is the first L bits of
the SHA-256 of its text. A stream's id is S + that number, so ids of all levels differ: stream i of
one level is the parent of 2i and 2i + 1 of the next. Children start at their parent's head, so
positions of one room or person only grow across a split, and every token stays valid.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

LEVEL_MAX = 12
"""4,096 streams of a kind: far beyond what a country needs (docs/architecture.md §6)."""

POSITION_BITS = 40
"""A row's id is `stream << POSITION_BITS | position`: unique, and in order within a stream."""


@lru_cache(maxsize=65_536)
def routing_hash(identifier: str) -> int:
    """The first 8 bytes of SHA-256, unsigned; what streams are chosen by."""
    return int.from_bytes(hashlib.sha256(identifier.encode()).digest()[:8], "big")


@lru_cache(maxsize=65_536)
def room_key(room_id: str) -> int:
    """The same 8 bytes, signed: the integer by which tables of rooms are keyed."""
    value = routing_hash(room_id)
    return value - (1 << 64) if value >> 63 else value


def row_id(stream: int, position: int) -> int:
    """The integer primary key of an entry's row."""
    return stream << POSITION_BITS | position


def position_of(row: int) -> int:
    """The position within its stream of a row's id."""
    return row & ((1 << POSITION_BITS) - 1)


def ancestors_of(stream: int) -> list[int]:
    """The streams that this one was split from, the nearest first, as far as any may have been."""
    found = []
    while stream > 1:
        stream >>= 1
        found.append(stream)
    return found


def level_of_count(count: int) -> int:
    """The level with `count` streams; ValueError unless it is a power of two within bounds."""
    level = count.bit_length() - 1
    if count < 1 or count != 1 << level or level > LEVEL_MAX:
        raise ValueError(f"{count} is not a power of two between 1 and {1 << LEVEL_MAX}")
    return level


@dataclass(frozen=True, slots=True)
class StreamMap:
    """The streams of one kind at one split level."""

    level: int

    @property
    def count(self) -> int:
        return 1 << self.level

    @property
    def ids(self) -> range:
        return range(self.count, 2 * self.count)

    def stream_of(self, identifier: str) -> int:
        """The stream of a room or a person, by their id's text."""
        return self.count + (routing_hash(identifier) >> (64 - self.level) if self.level else 0)

    def stream_of_key(self, key: int) -> int:
        """The stream of a room, by its `room_key`."""
        unsigned = key & ((1 << 64) - 1)
        return self.count + (unsigned >> (64 - self.level) if self.level else 0)

    def index_of(self, stream: int) -> int:
        """Where a stream's position stands in a token's vector."""
        return stream - self.count
