"""One room's part of a live answer, built once for everybody with the same filter.

The bytes end before the closing brace: a reader's own parts are spliced in behind them.
"""

from collections.abc import Sequence
from typing import Final

import orjson

from posthouse.accounts import RoomFilter, matches
from posthouse.rooms import Event, Room, render
from posthouse.streams import RoomToken

FRAGMENTS_MAX: Final = 1_024

_Key = tuple[int, int, int, RoomFilter, bytes | None]


class Fragments:
    """Recent fragments by room, first and last event, and filter; emptied when an older event's
    bytes change.
    """

    def __init__(self, generation: int) -> None:
        self._generation = generation
        self._built: dict[_Key, bytes] = {}

    def clear(self) -> None:
        self._built.clear()

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
            if len(self._built) >= FRAGMENTS_MAX:
                del self._built[next(iter(self._built))]
            self._built[key] = found
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
    """A timeline without a gap, for somebody who is and was joined."""
    shown = [event for event in events if shows(wanted, event)]
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
        changed = [render(event, now_ms=now_ms) for event in shown if event.state_key is not None]
        state = b",".join([*changed, state] if state else changed)
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


def shows(wanted: RoomFilter, event: Event) -> bool:
    """Whether a timeline filter lets an event through."""
    timeline = wanted.timeline
    if (
        timeline.types is None
        and timeline.not_types is None
        and timeline.senders is None
        and timeline.not_senders is None
        and timeline.contains_url is None
    ):
        return True
    return matches(
        timeline,
        event_type=event.type,
        sender=event.sender,
        has_url=timeline.contains_url is not None and "url" in orjson.loads(event.content),
    )


def senders_are_warm(room: Room, events: Sequence[Event], wanted: RoomFilter) -> bool:
    """Whether a fragment can be built from memory."""
    if not wanted.state.lazy_load_members:
        return True
    return all(
        room.known(("m.room.member", sender)) for sender in {event.sender for event in events}
    )
