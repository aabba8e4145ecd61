"""Who may see what of a room: the only place where history visibility is decided.

A room's history is one line of positions. What a person may see of it is a list of ranges, made
from two short lists: how the room's visibility changed, and how the person's own membership did.
https://spec.matrix.org/v1.19/client-server-api/#server-behaviour-4
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from posthouse.matrix.event_types import HistoryVisibility, Membership

OPEN: Final = 2**63 - 1
"""The last position of a range that goes on with the room; the largest that a database holds."""


class Range(NamedTuple):
    """Positions from `first` to `last`, both included."""

    first: int
    last: int


class _Stretch(NamedTuple):
    """Positions with what held before and after them; both are the same but at a change."""

    first: int
    last: int
    visibilities: tuple[str, str]
    memberships: tuple[str, str]


def visible_ranges(
    visibility_changes: Sequence[tuple[int, str]],
    membership_changes: Sequence[tuple[int, str]],
) -> list[Range]:
    """The positions that the person may see, as ranges in order that don't touch.

    `visibility_changes`: position and value of each `m.room.history_visibility` event of the room;
    `membership_changes`: position and membership of each of the person's own member events. Both
    in order of position, from the beginning of the room. What has no range may not be seen.

    (1) Each event is judged with the state at that event. One that changes the visibility, or the
        own membership, is seen if what held before it or what held after it would show it.
    (2) Whoever joins sees all that was `shared` before, also from before an earlier stay; what is
        written after they left stays hidden until they join again.
    (3) Forgetting a room changes nothing here: which rooms a person may still ask for at all is
        the rooms' own decision, as is whether one who never joined may (where this function shows
        what `invited` and `world_readable` show).
    """
    last_join = max(
        (at for at, membership in membership_changes if membership == Membership.JOIN), default=0
    )
    ranges: list[Range] = []
    for stretch in _stretches(visibility_changes, membership_changes):
        if not _is_visible(stretch, last_join):
            continue
        if ranges and ranges[-1].last + 1 == stretch.first:
            ranges[-1] = Range(ranges[-1].first, stretch.last)
        else:
            ranges.append(Range(stretch.first, stretch.last))
    return ranges


def may_see(ranges: Sequence[Range], position: int) -> bool:
    """Whether the position lies in one of the ranges."""
    following = bisect_right(ranges, position, key=_first_of)
    return following > 0 and position <= ranges[following - 1].last


def clip(ranges: Sequence[Range], first: int, last: int) -> list[Range]:
    """What of the ranges lies between two positions, both included."""
    return [
        Range(max(each.first, first), min(each.last, last))
        for each in ranges
        if each.first <= last and each.last >= first
    ]


def _first_of(each: Range) -> int:
    return each.first


def _stretches(
    visibility_changes: Sequence[tuple[int, str]], membership_changes: Sequence[tuple[int, str]]
) -> Iterator[_Stretch]:
    """Cuts the line at every change: the position of the change by itself, and what is between."""
    visibility: str = HistoryVisibility.SHARED
    membership: str = Membership.LEAVE
    start = 0
    changes = [(at, True, value) for at, value in visibility_changes]
    changes += [(at, False, value) for at, value in membership_changes]
    changes.sort()
    for at, is_visibility, value in changes:
        if start < at:
            yield _Stretch(start, at - 1, (visibility, visibility), (membership, membership))
        before = visibility, membership
        if is_visibility:
            visibility = HistoryVisibility.of(value)
        else:
            membership = value
        yield _Stretch(at, at, (before[0], visibility), (before[1], membership))
        start = at + 1
    yield _Stretch(start, OPEN, (visibility, visibility), (membership, membership))


def _is_visible(stretch: _Stretch, last_join: int) -> bool:
    """The five rules of the specification, in its order.

    A stretch doesn't reach over a join, so that what holds for its first position holds for all.
    """
    return (
        HistoryVisibility.WORLD_READABLE in stretch.visibilities
        or Membership.JOIN in stretch.memberships
        or (HistoryVisibility.SHARED in stretch.visibilities and stretch.first < last_join)
        or (
            HistoryVisibility.INVITED in stretch.visibilities
            and Membership.INVITE in stretch.memberships
        )
    )
