"""Who may see what of a room's history, against the specification's rules asked event by event."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthouse.matrix import OPEN, Range, clip, may_see, visible_ranges

VISIBILITIES = ("world_readable", "shared", "invited", "joined")
MEMBERSHIPS = ("join", "invite", "leave", "ban", "knock")

Entry = tuple[str, str]
"""An event of a room: ("visibility", value), ("own", membership) or ("other", "")."""

entries = st.one_of(
    st.tuples(st.just("visibility"), st.sampled_from([*VISIBILITIES, "odd"])),
    st.tuples(st.just("own"), st.sampled_from(MEMBERSHIPS)),
    st.just(("other", "")),
    st.just(("other", "")),
)
histories = st.lists(entries, max_size=20)


def oracle(history: list[Entry], index: int) -> bool:
    """The five rules of the server's behaviour, and its two exceptions, for one event."""
    kind, value = history[index]
    visibility, membership = state_before(history, index)
    pairs = [(visibility, membership)]
    if kind == "visibility":
        pairs.append((value, membership))
    if kind == "own":
        pairs.append((visibility, value))
    return any(allows(each, is_joined, history, index) for each, is_joined in pairs)


def allows(visibility: str, membership: str, history: list[Entry], index: int) -> bool:
    if visibility not in VISIBILITIES:
        visibility = "shared"
    if visibility == "world_readable":
        return True
    if membership == "join":
        return True
    if visibility == "shared" and ("own", "join") in history[index + 1 :]:
        return True
    return membership == "invite" and visibility == "invited"


def state_before(history: list[Entry], index: int) -> tuple[str, str]:
    visibility, membership = "shared", "leave"
    for kind, value in history[:index]:
        if kind == "visibility":
            visibility = value
        if kind == "own":
            membership = value
    return visibility, membership


def ranges_of(history: list[Entry], positions: list[int]) -> list[Range]:
    changes = {
        wanted: [
            (at, value)
            for at, (kind, value) in zip(positions, history, strict=True)
            if kind == wanted
        ]
        for wanted in ("visibility", "own")
    }
    return visible_ranges(changes["visibility"], changes["own"])


@settings(max_examples=300)
@given(histories, st.data())
def test_the_ranges_show_what_the_specification_shows_event_by_event(
    history: list[Entry], data: st.DataObject
) -> None:
    """The room shares its stream with others, so its positions have gaps."""
    steps = data.draw(
        st.lists(st.integers(1, 3), min_size=len(history), max_size=len(history)), label="steps"
    )
    positions = [sum(steps[: index + 1]) for index in range(len(history))]

    ranges = ranges_of(history, positions)

    assert [may_see(ranges, at) for at in positions] == [
        oracle(history, index) for index in range(len(history))
    ]


@given(histories)
def test_ranges_are_in_order_and_do_not_touch(history: list[Entry]) -> None:
    ranges = ranges_of(history, [*range(1, len(history) + 1)])

    assert all(each.first <= each.last for each in ranges)
    assert all(one.last + 1 < two.first for one, two in pairwise(ranges))


@given(histories)
def test_what_follows_is_seen_by_who_is_joined_and_where_anyone_may_read(
    history: list[Entry],
) -> None:
    ranges = ranges_of(history, [*range(1, len(history) + 1)])
    visibility, membership = state_before(history, len(history))

    assert may_see(ranges, OPEN) == (
        membership == "join"
        or visibility == "world_readable"
        or (visibility == "invited" and membership == "invite")
    )


@given(histories, st.sampled_from(VISIBILITIES), st.sampled_from(MEMBERSHIPS))
def test_nothing_that_happens_later_hides_what_was_seen(
    history: list[Entry], visibility: str, membership: str
) -> None:
    positions = [*range(1, len(history) + 3)]
    before = ranges_of(history, positions[: len(history)])
    after = ranges_of([*history, ("visibility", visibility), ("own", membership)], positions)

    for at in positions[: len(history)]:
        assert may_see(after, at) or not may_see(before, at)


@settings(max_examples=50)
@given(histories, st.integers(0, 25), st.integers(0, 25))
def test_clipping_keeps_what_lies_between(history: list[Entry], first: int, last: int) -> None:
    ranges = ranges_of(history, [*range(1, len(history) + 1)])
    clipped = clip(ranges, first, last)

    for at in range(27):
        assert may_see(clipped, at) == (first <= at <= last and may_see(ranges, at))


SHARED_SINCE_ALWAYS: list[tuple[int, str]] = []


@pytest.mark.parametrize(
    ("visibility", "own", "expected"),
    [
        # A stranger sees what anybody may read, and the events that opened and closed it.
        ([(5, "world_readable"), (9, "joined")], [], [Range(5, 9)]),
        (SHARED_SINCE_ALWAYS, [], []),
        # A member sees all that was shared, and goes on seeing.
        (SHARED_SINCE_ALWAYS, [(10, "join")], [Range(0, OPEN)]),
        # From the invitation on, with the event that invites.
        ([(2, "invited")], [(10, "invite"), (15, "join")], [Range(0, 2), Range(10, OPEN)]),
        # From the join on.
        ([(2, "joined")], [(10, "invite"), (15, "join")], [Range(0, 2), Range(15, OPEN)]),
        # Who left sees up to the event that says so; who was banned too, and an unban shows nothing.
        (SHARED_SINCE_ALWAYS, [(3, "join"), (9, "leave")], [Range(0, 9)]),
        (SHARED_SINCE_ALWAYS, [(3, "join"), (9, "ban"), (12, "leave")], [Range(0, 9)]),
        # Who comes back sees the time away where it was shared, and not where it wasn't.
        (SHARED_SINCE_ALWAYS, [(3, "join"), (9, "ban"), (12, "leave"), (15, "join")], [Range(0, OPEN)]),
        ([(2, "joined")], [(3, "join"), (9, "leave"), (15, "join")], [Range(0, 9), Range(15, OPEN)]),
        # A changed name while joined changes nothing.
        ([(2, "joined")], [(3, "join"), (6, "join"), (9, "leave")], [Range(0, 9)]),
        # Somebody who was invited to a shared room and declined never joined it.
        (SHARED_SINCE_ALWAYS, [(3, "invite"), (9, "leave")], []),
    ],
)  # fmt: skip
def test_the_cases_that_people_ask_about(
    visibility: list[tuple[int, str]], own: list[tuple[int, str]], expected: list[Range]
) -> None:
    assert visible_ranges(visibility, own) == expected
