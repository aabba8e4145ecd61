"""Walking through a room's log for one person: only what they see, only what a filter lets through.

(1) Nothing that may not be seen is read: the walk jumps from one visible stretch to the next.
(2) A walk looks at a bounded number of events. Where a filter takes most of them away, a page is
    short, and says where to go on.
(3) A page tells where to go on only if the person sees another event beyond it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from posthouse.accounts import RoomEventFilter, matches
from posthouse.matrix import Range, clip
from posthouse.rooms.model import Event
from posthouse.rooms.reading import Reading, Sight, Span
from posthouse.rooms.room import Room

LOOKED_AT_MAX: Final = 2_000
"""Events that one walk looks at, whatever its filter."""

STRETCHES_MAX: Final = 50
"""Visible stretches that one walk enters; who comes and goes all the time walks in pieces."""

_ROWS_PER_READ: Final = 200


@dataclass(frozen=True, slots=True)
class Page:
    """Some events, in the order of the walk."""

    events: Sequence[Event]
    reached: int | None
    """The place to go on from: the position just before it. None where nothing is left to see."""


@dataclass(frozen=True, slots=True)
class Walk:
    """What to walk through: `after < position <= up_to`, and which way."""

    room: Room
    sight: Sight
    after: int
    up_to: int
    backwards: bool
    wanted: RoomEventFilter

    def stretches(self) -> Iterator[Range]:
        """The visible stretches of the way, in its order."""
        visible = clip(self.sight.ranges, self.after + 1, self.up_to)
        return reversed(visible) if self.backwards else iter(visible)

    def place_before(self, event: Event) -> int:
        """The place where the walk stands when this event is the next one."""
        return event.position if self.backwards else event.position - 1

    def place_at(self, stretch: Range) -> int:
        """The place where the walk enters a stretch."""
        return stretch.last if self.backwards else stretch.first - 1

    def rest(self, stretch: Range, last_seen: Event | None) -> Span:
        """What of a stretch comes after an event."""
        after, up_to = stretch.first - 1, stretch.last
        if last_seen is not None and self.backwards:
            up_to = last_seen.position - 1
        elif last_seen is not None:
            after = last_seen.position
        return Span(self.room, after, up_to)


async def page_of(reading: Reading, walk: Walk, limit: int) -> Page:
    """The first `limit` events of a walk that the filter lets through."""
    shown: list[Event] = []
    looked_at = 0
    is_filtered = not _is_open(walk.wanted)
    for entered, stretch in enumerate(walk.stretches()):
        if entered == STRETCHES_MAX:
            return Page(shown, walk.place_at(stretch))
        last_seen: Event | None = None
        while True:
            width = _ROWS_PER_READ if is_filtered else limit - len(shown) + 1
            events = await reading.stretch(
                walk.rest(stretch, last_seen), width, backwards=walk.backwards
            )
            for event in events:
                if len(shown) == limit or looked_at == LOOKED_AT_MAX:
                    return Page(shown, walk.place_before(event))
                looked_at += 1
                if not is_filtered or passes(walk.wanted, walk.room, event):
                    shown.append(event)
            if len(events) < width:
                break
            last_seen = events[-1]
    return Page(shown, None)


def passes(wanted: RoomEventFilter, room: Room, event: Event) -> bool:
    """Whether a filter lets an event through."""
    return matches(
        wanted,
        event_type=event.type,
        sender=event.sender,
        room_id=room.room_id,
        has_url=wanted.contains_url is not None and "url" in orjson.loads(event.content),
    )


def _is_open(wanted: RoomEventFilter) -> bool:
    """Whether everything passes."""
    return all(
        part is None
        for part in (
            wanted.types,
            wanted.not_types,
            wanted.senders,
            wanted.not_senders,
            wanted.rooms,
            wanted.not_rooms,
            wanted.contains_url,
        )
    )
