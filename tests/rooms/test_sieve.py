"""The sieve before the index of old transaction ids: what is in it is always found."""

from hypothesis import given
from hypothesis import strategies as st

from posthouse.rooms.sieve import Sieve

NAMES = st.integers(-(1 << 63), (1 << 63) - 1)


@given(st.lists(NAMES, max_size=50))
def test_what_was_added_is_found(names: list[int]) -> None:
    sieve = Sieve()

    for name in names:
        sieve.add(name)

    assert all(sieve.may_have(name) for name in names)


def test_what_was_not_added_is_seldom_found() -> None:
    """Hashes spread over all 64 bits, as the multiples of a large odd number do."""
    sieve = Sieve()
    spread = [(k * 0x9E3779B97F4A7C15) % (1 << 64) - (1 << 63) for k in range(200_000)]

    for name in spread[:100_000]:
        sieve.add(name)

    assert sum(sieve.may_have(name) for name in spread[100_000:]) < 2_000
