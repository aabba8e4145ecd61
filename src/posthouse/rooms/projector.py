"""The membership projector: copies what room streams say about people into their own streams.

(1) The truth about a membership is the room's log; a pointer is a copy with its position.
(2) The pointer and the cursor move in one transaction, so each change is copied exactly once.
(3) The answer to a join, an invite or a leave waits for its pointer, so that the caller's next
    sync shows it.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from posthouse.matrix import RoomId, UserId
from posthouse.rooms import store
from posthouse.rooms.memory import RoomMemory
from posthouse.rooms.model import Entry, Event
from posthouse.rooms.room import Room
from posthouse.std.faults import Unavailable
from posthouse.streams import (
    GET_USER_CURSOR,
    SET_USER_CURSOR,
    EntryKind,
    RoomStreams,
    UserStreams,
    Write,
    position_of,
    row_id,
)

_log = structlog.get_logger(__name__)

NAME: Final = "memberships"
_ROWS_PER_READ: Final = 500
_CURSOR_EVERY: Final = 10_000
_WAIT_S: Final = 5.0
_RETRY_S: Final = 0.5

_Change = tuple[int, RoomId, int, UserId, str]


class MembershipProjector:
    """One for all room streams of this process; `run` is a task of `app`."""

    def __init__(
        self, memory: RoomMemory, room_streams: RoomStreams, user_streams: UserStreams
    ) -> None:
        self._memory = memory
        self._room_streams = room_streams
        self._user_streams = user_streams
        self._reached: dict[int, int] = {}
        self._stored: dict[int, int] = {}
        self._targets: dict[int, int] = {}
        self._unprojected: dict[tuple[int, str], deque[int]] = {}
        """The changes of each person that were announced and have no announced pointer yet."""
        self._heard_of: dict[int, int] = {}
        self._unheard: set[int] = set()
        """Streams whose announcements were lost: after what was heard of, anybody's membership may
        have changed."""
        self._even_listeners: list[Callable[[int], None]] = []
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._closed = False
        memory.listen(self._heard)
        memory.listen_reset(self._was_reset)

    async def start(self) -> None:
        """Reads how far each stream was projected: the least of its cursors."""
        for source in self._room_streams.streams.ids:
            cursors = [
                await self._user_streams.reader().fetch_one(GET_USER_CURSOR, NAME, source, target)
                for target in self._user_streams.streams.ids
            ]
            self._reached[source] = min(row[0] if row else 0 for row in cursors)
            self._stored[source] = self._reached[source]
            self._targets[source] = self._room_streams.head(source)
            self._heard_of[source] = self._targets[source]
        self._wake.set()

    def close(self) -> None:
        self._closed = True
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            if self._closed:
                return
            self._wake.clear()
            try:
                for source in self._room_streams.streams.ids:
                    await self._catch_up(source)
            except Unavailable as fault:
                _log.warning("membership projector waits", fault=str(fault))
                await asyncio.sleep(_RETRY_S)
                self._wake.set()

    async def wait_for(self, stream: int, position: int) -> None:
        """Until the stream is projected that far; raises Unavailable after some seconds, when the
        change itself stands and will be shown.
        """
        if self._targets[stream] < position:
            self._targets[stream] = position
            self._wake.set()
        try:
            async with asyncio.timeout(_WAIT_S):
                while self._reached[stream] < position:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            raise Unavailable(
                "The change was made, but your room list isn't up to date yet."
            ) from None

    def listen_even(self, listener: Callable[[int], None]) -> None:
        """`listener(stream)`: what a reset kept out of everybody's tokens may enter them again."""
        self._even_listeners.append(listener)

    async def wait_until_even(self) -> None:
        """Until everything that was committed before the start is projected."""
        for source in self._room_streams.streams.ids:
            while self._reached[source] < self._targets[source]:
                self._moved.clear()
                await self._moved.wait()

    def _heard(self, stream: int, news: dict[Room, list[Entry]]) -> None:
        for entries in news.values():
            for entry in entries:
                self._heard_of[stream] = max(self._heard_of[stream], entry.position)
                if isinstance(entry, Event) and entry.type == "m.room.member":
                    self._targets[stream] = max(self._targets[stream], entry.position)
                    whose = stream, entry.state_key or ""
                    self._unprojected.setdefault(whose, deque()).append(entry.position)
                    self._wake.set()

    def _was_reset(self, stream: int) -> None:
        """An announcement was lost: everything up to the head is looked at."""
        self._targets[stream] = max(self._targets[stream], self._room_streams.head(stream))
        self._unheard.add(stream)
        self._wake.set()

    def known_up_to(self, stream: int, user_id: UserId, head: int) -> int:
        """The last position of a room stream that may enter the person's token: what comes after
        a change of their membership waits until its pointer is there too.
        """
        if stream in self._unheard:
            return min(head, self._heard_of[stream])
        if not self._unprojected:
            return head
        positions = self._unprojected.get((stream, user_id))
        return head if positions is None else min(head, positions[0] - 1)

    async def _catch_up(self, source: int) -> None:
        while self._reached[source] < (target := self._targets[source]):
            changes = await store.member_events_of_stream(
                self._memory.reader(),
                row_id(source, self._reached[source]),
                row_id(source, target),
                _ROWS_PER_READ,
            )
            whole = len(changes) < _ROWS_PER_READ
            reached = target if whole else position_of(changes[-1][0])
            by_target: dict[int, list[_Change]] = defaultdict(list)
            for change in changes:
                by_target[self._user_streams.stream_of(change[3])].append(change)
            for stream, of_stream in by_target.items():
                await self._project(source, stream, of_stream)
            self._reached[source] = reached
            for stream, user_id in list(self._unprojected):
                if stream == source:
                    self._forget_projected(source, user_id, reached)
            self._moved.set()
        if source in self._unheard:
            self._unheard.discard(source)
            self._heard_of[source] = max(self._heard_of[source], self._reached[source])
            for listener in self._even_listeners:
                listener(source)
        if self._reached[source] - self._stored[source] > _CURSOR_EVERY:
            await self._store_cursors(source)

    async def _store_cursors(self, source: int) -> None:
        """Moves the cursors of streams whose people had no change, so that a start reads little."""
        reached = self._reached[source]
        for target in self._user_streams.streams.ids:

            async def work(write: Write, target: int = target) -> None:
                await write.execute(SET_USER_CURSOR, NAME, source, target, reached)

            await self._user_streams.write_stream(target, work)
        self._stored[source] = reached

    async def _project(self, source: int, target: int, changes: Sequence[_Change]) -> None:
        async def work(write: Write) -> None:
            row = await write.fetch_one(GET_USER_CURSOR, NAME, source, target)
            done = row[0] if row else 0
            for _, room_id, room_position, user_id, membership in changes:
                if room_position > done:
                    position = write.append(user_id, EntryKind.MEMBERSHIP, room_id)
                    await write.execute(
                        store.SET_POINTER, user_id, room_id, membership, room_position, position
                    )
            await write.execute(SET_USER_CURSOR, NAME, source, target, changes[-1][2])
            write.after_commit(announced)

        def announced() -> None:
            # In the turn in which the pointers enter the tokens: a token that holds a pointer
            # and not the change it points to would never tell of the change.
            for _, _, room_position, user_id, _ in changes:
                self._forget_projected(source, user_id, room_position)

        await self._user_streams.write_stream(target, work)

    def _forget_projected(self, source: int, user_id: str, reached: int) -> None:
        """A person's changes up to a position have their pointers; later ones still wait."""
        positions = self._unprojected.get((source, user_id))
        while positions and positions[0] <= reached:
            positions.popleft()
        if positions is not None and not positions:
            del self._unprojected[source, user_id]
