"""Which events pass a filter, against a slow and obvious reading of the specification."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from posthouse.accounts import EventFilter, RoomEventFilter, RoomFilter, includes_room, matches

_types = st.text("ab.*", max_size=6)
_names = st.text("ab.", max_size=6)


def _fits(event_type: str, pattern: str) -> bool:
    parts = (re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(".*".join(parts), event_type, re.DOTALL) is not None


@settings(max_examples=300)
@given(_names, _types)
def test_a_star_stands_for_any_characters(event_type: str, pattern: str) -> None:
    passes = matches(EventFilter(types=(pattern,)), event_type=event_type, sender="@a:b")
    assert passes == _fits(event_type, pattern)


_lists = st.none() | st.lists(_types, max_size=3).map(tuple)
_senders = st.none() | st.lists(st.sampled_from(["@a:x", "@b:x"]), max_size=2).map(tuple)


@settings(max_examples=200)
@given(_names, st.sampled_from(["@a:x", "@b:x"]), _lists, _lists, _senders, _senders)
def test_what_is_excluded_is_out_even_when_included(
    event_type: str,
    sender: str,
    types: tuple[str, ...] | None,
    not_types: tuple[str, ...] | None,
    senders: tuple[str, ...] | None,
    not_senders: tuple[str, ...] | None,
) -> None:
    wanted = EventFilter(types=types, not_types=not_types, senders=senders, not_senders=not_senders)
    expected = (
        (types is None or any(_fits(event_type, one) for one in types))
        and not any(_fits(event_type, one) for one in not_types or ())
        and (senders is None or sender in senders)
        and sender not in (not_senders or ())
    )
    assert matches(wanted, event_type=event_type, sender=sender) == expected


def test_rooms_and_urls_count_for_events_of_rooms() -> None:
    wanted = RoomEventFilter(rooms=("!a",), not_rooms=("!b",), contains_url=True)

    def passes(room_id: str, *, has_url: bool) -> bool:
        return matches(wanted, event_type="m.x", sender="@a:x", room_id=room_id, has_url=has_url)

    assert passes("!a", has_url=True)
    assert not passes("!a", has_url=False)
    assert not passes("!b", has_url=True)
    assert not passes("!c", has_url=True)
    without = RoomEventFilter(contains_url=False)
    assert matches(without, event_type="m.x", sender="@a:x", has_url=False)
    assert not matches(without, event_type="m.x", sender="@a:x", has_url=True)


def test_a_room_that_is_excluded_is_out() -> None:
    assert includes_room(RoomFilter(), "!a")
    assert not includes_room(RoomFilter(rooms=("!a",), not_rooms=("!a",)), "!a")
    assert not includes_room(RoomFilter(rooms=()), "!a")


def test_many_stars_cost_no_more_than_few() -> None:
    pattern = "a*" * 120 + "b"
    assert not matches(EventFilter(types=(pattern,)), event_type="a" * 255, sender="@a:x")
