"""One room's part of a live answer, built once for everybody with the same filter.

The bytes end before the closing brace: a reader's own parts are spliced in behind them.
"""

from collections.abc import Sequence
from typing import Final

import orjson

from posthouse.accounts import RoomEventFilter, RoomFilter, matches
from posthouse.matrix import RoomId
from posthouse.rooms import Event, Room, render
from posthouse.streams import RoomToken

FRAGMENTS_BYTES_MAX: Final = 16 << 20
FRAGMENT_BYTES: Final = 400
"""What one holds beside its text, roughly."""

_Key = tuple[int, int, int, RoomFilter, bytes | None]


class Fragments:
    """Recent fragments by room, first and last event, and filter; emptied when an older event's
    bytes change.
    """

    def __init__(self, generation: int) -> None:
        self._generation = generation
        self._built: dict[_Key, bytes] = {}
        self.size = 0
        """Bytes in memory, roughly; bounded, the newest fragment excepted."""

    def clear(self) -> None:
        self._built.clear()
        self.size = 0

    def of(
        self,
        room: Room,
        events: Sequence[Event],
        wanted: RoomFilter,
        state_after: bytes | None,
        *,
        now_ms: int,
    ) -> bytes:
        """The fragment for a reader who was in the room all the time and sent none of it.

        `events` isn't empty; the member events of its senders are in memory.
        """
        key = (room.key, events[0].position, events[-1].position, wanted, state_after)
        found = self._built.get(key)
        if found is None:
            found = live_fragment(
                room, events, wanted, state_after, now_ms=now_ms, generation=self._generation
            )
            self._built[key] = found
            self.size += len(found) + FRAGMENT_BYTES
            while self.size > FRAGMENTS_BYTES_MAX and len(self._built) > 1:
                oldest = self._built.pop(next(iter(self._built)))
                self.size -= len(oldest) + FRAGMENT_BYTES
        return found


def live_fragment(
    room: Room,
    events: Sequence[Event],
    wanted: RoomFilter,
    state_after: bytes | None,
    *,
    now_ms: int,
    generation: int,
    device: tuple[str, str] | None = None,
) -> bytes:
    """A timeline without a gap, for somebody who is and was joined; empty where the filter lets
    nothing through.
    """
    shown = [event for event in events if shows(wanted, event, room.room_id)]
    timeline = b",".join(
        [render(event, now_ms=now_ms, device=device, membership="join") for event in shown]
    )
    state = b""
    if wanted.state.lazy_load_members:
        senders = dict.fromkeys(event.sender for event in shown)
        told = {
            event.state_key
            for event in shown
            if event.type == "m.room.member" and event.state_key is not None
        }
        state = b",".join(
            [
                render(member.event, now_ms=now_ms)
                for sender in senders
                if sender not in told
                and (member := room.current("m.room.member", sender)) is not None
            ]
        )
    if state_after is not None:
        # Of all that happened: the timeline's filter takes nothing away from the state.
        last = {
            (event.type, event.state_key): event
            for event in events
            if event.state_key is not None and shows_state(wanted, event, room.room_id)
        }
        changed = [render(event, now_ms=now_ms) for event in last.values()]
        state = b",".join([*changed, state] if state else changed)
    if not shown and not state:
        return b""
    previous = RoomToken(generation, events[0].position - 1).encode().encode()
    return (
        b'%s:{"timeline":{"events":[%s],"limited":false,"prev_batch":"%s"},"%s":{"events":[%s]}'
        % (
            orjson.dumps(room.room_id),
            timeline,
            previous,
            state_after or b"state",
            state,
        )
    )


def shows(wanted: RoomFilter, event: Event, room_id: RoomId) -> bool:
    """Whether a timeline filter lets an event through."""
    return not takes_away(wanted.timeline) or _passes(wanted.timeline, event, room_id)


def shows_state(wanted: RoomFilter, event: Event, room_id: RoomId) -> bool:
    """Whether a filter of state lets an event through."""
    return not takes_away(wanted.state) or _passes(wanted.state, event, room_id)


def takes_away(part: RoomEventFilter) -> bool:
    """Whether there are events that a filter doesn't let through."""
    return not (
        part.types is None
        and part.not_types is None
        and part.senders is None
        and part.not_senders is None
        and part.contains_url is None
        and part.rooms is None
        and part.not_rooms is None
    )


def _passes(part: RoomEventFilter, event: Event, room_id: RoomId) -> bool:
    return matches(
        part,
        event_type=event.type,
        sender=event.sender,
        room_id=room_id,
        has_url=part.contains_url is not None and "url" in orjson.loads(event.content),
    )


def senders_are_warm(room: Room, events: Sequence[Event], wanted: RoomFilter) -> bool:
    """Whether a fragment can be built from memory."""
    if not wanted.state.lazy_load_members:
        return True
    return all(
        room.known(("m.room.member", sender)) for sender in {event.sender for event in events}
    )
