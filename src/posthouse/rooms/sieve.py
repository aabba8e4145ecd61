"""Which transactions the index may hold: a Bloom filter, so that a new one isn't looked up.

(1) What was added is found. What was not is found too in a few cases of a hundred, and is then
    looked up for nothing.
(2) It takes `SIEVE_BYTES` and no more, however much goes in; filled beyond a million it lets more
    and more through, which costs a query and never an answer.
"""

from typing import Final

SIEVE_BYTES: Final = 1 << 20
_MASK: Final = SIEVE_BYTES * 8 - 1
_PLACES: Final = (0, 20, 40)
"""Shifts that cut a 64-bit name, which is a hash, into three places."""


class Sieve:
    """A set of 64-bit hashes that may claim to have more than it has."""

    __slots__ = ("_bits",)

    def __init__(self) -> None:
        self._bits = bytearray(SIEVE_BYTES)

    def add(self, name: int) -> None:
        for shift in _PLACES:
            place = (name >> shift) & _MASK
            self._bits[place >> 3] |= 1 << (place & 7)

    def may_have(self, name: int) -> bool:
        for shift in _PLACES:
            place = (name >> shift) & _MASK
            if not self._bits[place >> 3] & (1 << (place & 7)):
                return False
        return True
