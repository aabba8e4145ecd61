"""Rooms in the public directory: who is put there, and the copies that it keeps.

The directory's table is global, a room's state is in its stream; no transaction touches both.

(1) The truth is the room's state; what the directory says of it is a copy with its position, and
    an older copy never replaces a newer one.
(2) A change is copied after its commit, soon and at least once: what a stop or a reset kept from
    being copied is found at the next start, when all published rooms are copied anew.
(3) However much a room changes, it is copied once a turn, and a turn is bounded.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from posthouse.directory import Directory
from posthouse.matrix import RoomId
from posthouse.rooms.facts import FACT_TYPES, facts_of
from posthouse.rooms.memory import RoomMemory
from posthouse.rooms.model import Entry, Event
from posthouse.rooms.reading import Reading
from posthouse.rooms.room import Room
from posthouse.std.faults import Unavailable
from posthouse.streams import RoomStreams

_log = structlog.get_logger(__name__)

_ROOMS_PER_TURN: Final = 100
_CHANGED_MAX: Final = 10_000
"""Changed rooms that are remembered; with more, all that are published are looked at."""
_PAUSE_S: Final = 0.25
_RETRY_S: Final = 1.0

_TOLD: Final = frozenset({*FACT_TYPES, "m.room.member"})


class RoomListing:
    """One for all room streams of this process; `run` is a task of `app`."""

    def __init__(
        self, memory: RoomMemory, reading: Reading, streams: RoomStreams, directory: Directory
    ) -> None:
        self._memory = memory
        self._reading = reading
        self._streams = streams
        self._directory = directory
        self._changed: dict[RoomId, None] = {}
        self._swept_up_to: str | None = ""
        """How far the look at all published rooms has come; None while none is going on."""
        self._is_copying = False
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        memory.listen(self._heard)
        memory.listen_reset(self._was_reset)
        self._wake.set()

    async def publish(self, room: Room) -> None:
        """Puts a room into the directory, as it is now."""
        head = self._streams.head(room.stream)
        facts = await facts_of(self._reading, {room: head})
        await self._directory.publish(facts[room].listing(head))

    async def succeed(self, old: Room, new: Room) -> None:
        """Gives a room's names and its place in the directory to the room that replaces it."""
        head = self._streams.head(new.stream)
        facts = await facts_of(self._reading, {new: head})
        await self._directory.succeed(old.room_id, facts[new].listing(head))

    # -- copying -------------------------------------------------------------------------------

    async def run(self) -> None:
        """A turn after each change, and not too often; ends by cancellation."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while self._changed or self._swept_up_to is not None:
                    await self._turn()
                    await asyncio.sleep(_PAUSE_S)
            except Unavailable as fault:
                _log.warning("room listing waits", fault=str(fault))
                await asyncio.sleep(_RETRY_S)
                self._wake.set()
            else:
                self._idle.set()

    async def wait_until_idle(self) -> None:
        """Until everything that was committed is copied."""
        while self._changed or self._swept_up_to is not None or self._is_copying:
            self._idle.clear()
            await self._idle.wait()

    async def _turn(self) -> None:
        """Copies some of the rooms that changed, or some of all."""
        self._is_copying = True
        try:
            if self._changed:
                some = list(self._changed)[:_ROOMS_PER_TURN]
                for room_id in some:
                    # Before it is read: what changes meanwhile is a change of its own.
                    del self._changed[room_id]
                try:
                    await self._copy(await self._directory.published_among(some))
                except Unavailable:
                    self._changed = {**dict.fromkeys(some), **self._changed}
                    raise
            elif self._swept_up_to is not None:
                start = self._swept_up_to
                published = await self._directory.published_after(start, _ROOMS_PER_TURN)
                await self._copy(published)
                if self._swept_up_to == start:
                    self._swept_up_to = published[-1] if published else None
        finally:
            self._is_copying = False

    async def _copy(self, rooms: Sequence[RoomId]) -> None:
        if not rooms:
            return
        found = await self._memory.get_many(rooms)
        places = {room: self._streams.head(room.stream) for room in found.values()}
        facts = await facts_of(self._reading, places)
        await self._directory.renew([facts[room].listing(place) for room, place in places.items()])

    def _heard(self, stream: int, news: dict[Room, list[Entry]]) -> None:
        for room, entries in news.items():
            for entry in entries:
                if (
                    isinstance(entry, Event) and entry.state_key is not None and entry.type in _TOLD
                ) or _prunes(entry):
                    self._mark(room.room_id)
                    break

    def _mark(self, room_id: RoomId) -> None:
        if len(self._changed) >= _CHANGED_MAX:
            self._changed.clear()
            self._swept_up_to = ""
        self._changed[room_id] = None
        self._wake.set()

    def _was_reset(self, stream: int) -> None:
        """Announcements were lost: all published rooms are looked at."""
        self._swept_up_to = ""
        self._wake.set()


def _prunes(entry: Entry) -> bool:
    """Whether it is a redaction, which may have taken a name away."""
    return isinstance(entry, Event) and entry.redacts is not None
