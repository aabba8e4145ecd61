"""The rooms that are in memory, and what happens to them when a commit is through.

Owned by the event loop: nothing here is touched from a thread. What is applied here was committed;
listeners hear of a batch once all of it is applied (docs/architecture.md §3, invariant 3).
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

import orjson
from msgspec import structs

from posthouse.matrix import ROOM_VERSIONS, RoomId
from posthouse.rooms import store
from posthouse.rooms.model import (
    DeviceNote,
    Entry,
    Event,
    Head,
    StateEvent,
    TransactionKey,
)
from posthouse.rooms.room import CORE_STATE, Room, StateKey
from posthouse.rooms.transactions import KEPT_MAX, KEPT_MS, TransactionMemory
from posthouse.rooms.wire import pruned_base, room_field
from posthouse.std.clock import Clock
from posthouse.storage import Database, Owner, Reader
from posthouse.streams import StreamMap, Tail, ancestors_of, position_of, room_key, row_id

ROOMS_MAX: Final = 20_000
"""Rooms kept in memory beside those that somebody online is in."""

TAIL_BYTES_MAX: Final = 16 << 20

_TRANSACTIONS_PER_READ: Final = 1_000

_NOWHERE: Final = 1 << 62
"""The floor of a tail that knows nothing until the next head is told."""

Listener = Callable[[int, dict[Room, list[Entry]]], None]


def state_event(event: Event) -> StateEvent:
    """A state event from its row."""
    return StateEvent(
        sender=event.sender,
        content=orjson.loads(event.content),
        event_id=event.event_id,
        position=event.position,
        event=event,
    )


class RoomMemory:
    """Rooms, tails and transactions of this process's streams; the `RoomLayers` of its writers."""

    def __init__(self, database: Database, streams: StreamMap, clock: Clock) -> None:
        self._database = database
        self._streams = streams
        self._clock = clock
        self._rooms: dict[int, Room] = {}
        self._let_go = 0
        """How often rooms were taken out of memory: who reads some notices."""
        self._expected: dict[int, Room] = {}
        """Rooms whose first events are pending."""
        self._loading: dict[int, asyncio.Future[Room | None]] = {}
        self._tails: dict[int, Tail[Entry]] = {}
        self._transactions = {stream: TransactionMemory() for stream in streams.ids}
        self._news: dict[int, dict[Room, list[Entry]]] = {stream: {} for stream in streams.ids}
        self._listeners: list[Listener] = []
        self._reset_listeners: list[Callable[[int], None]] = []
        self._redaction_listeners: list[Callable[[Room], None]] = []

    # -- starting ------------------------------------------------------------------------------

    async def start(self, heads: dict[int, int]) -> None:
        """Begins at these heads: tails empty, the last hour's transactions read from the log."""
        for stream, head in heads.items():
            self._tails[stream] = Tail(head=head, bytes_max=TAIL_BYTES_MAX)
            await self.refill(stream, head)

    async def refill(self, stream: int, head: int) -> None:
        """Reads the last hour's transactions from the log: a repeat must not become an event."""
        since_ms = self._clock.now_ms() - KEPT_MS
        recent: list[store.SentRow] = []
        complete_since_ms = 0  # as long as nothing older, or nothing more than fits, was found
        # A stream that was split from another begins with what that one wrote for its rooms.
        for source in (stream, *ancestors_of(stream)):
            before = row_id(source, head) + 1 if source == stream else row_id(source + 1, 0)
            while not complete_since_ms:
                page = await store.recent_transactions(
                    self.reader(), row_id(source, 0), before, _TRANSACTIONS_PER_READ
                )
                for row in page:
                    if row.ts < since_ms or len(recent) >= KEPT_MAX:
                        complete_since_ms = max(since_ms, row.ts + 1)
                        break
                    if self._streams.stream_of_key(row.key.room) == stream:
                        recent.append(row)
                if len(page) < _TRANSACTIONS_PER_READ:
                    break
                before = page[-1].id
        self._transactions[stream].refill(
            ((row.key, row.event_id, row.ts, position_of(row.id)) for row in reversed(recent)),
            complete_since_ms,
        )

    # -- reading -------------------------------------------------------------------------------

    def reader(self) -> Reader:
        """Committed rows of the tables of rooms."""
        return self._database.reader(of=Owner.ROOM)

    def tail(self, stream: int) -> Tail[Entry]:
        return self._tails[stream]

    def transactions(self, stream: int) -> TransactionMemory:
        return self._transactions[stream]

    @property
    def rooms_kept(self) -> int:
        """How many rooms are in memory."""
        return len(self._rooms)

    def resident(self, room_id: RoomId) -> Room | None:
        """The room, if it is in memory."""
        room = self._rooms.get(room_key(room_id))
        return room if room is not None and room.loaded else None

    async def get(self, room_id: RoomId) -> Room | None:
        """The room with the core of its state; None where there is no such room."""
        key = room_key(room_id)
        while True:
            room = self._rooms.get(key)
            if room is not None and room.loaded:
                return room if room.room_id == room_id else None
            waiting = self._loading.get(key)
            if waiting is None:
                break
            await asyncio.wait((waiting,))
            if not waiting.cancelled():  # else whoever read has gone: the next one reads
                room = waiting.result()
                return room if room is not None and room.room_id == room_id else None
        future = self._loading[key] = asyncio.get_running_loop().create_future()
        try:
            room = await self._load(room_id)
        except asyncio.CancelledError:
            future.cancel()
            raise
        except BaseException as error:
            future.set_exception(error)
            future.exception()
            raise
        else:
            future.set_result(room)
        finally:
            del self._loading[key]
        return room if room is not None and room.room_id == room_id else None

    async def get_many(self, room_ids: Sequence[RoomId]) -> dict[RoomId, Room]:
        """Rooms for somebody who comes online: what is not in memory gets its newest position
        only, all of them in one statement. Each is in memory when this returns: a room that
        memory has let go of hears of nothing.
        """
        keys = {room_key(room_id) for room_id in room_ids}
        while True:
            let_go = self._let_go
            missing = keys - self._rooms.keys()
            rows = await store.fetch_rooms(self.reader(), list(missing)) if missing else {}
            if let_go == self._let_go:
                break  # else what stood in memory may be gone, and what was read may be old
        self._make_place(len(rows), keep=keys)
        for key, (row, position) in rows.items():
            room = self._rooms.get(key) or self._admit(row)
            room.position = max(room.position, position)
        found = {room_id: self._rooms.get(room_key(room_id)) for room_id in room_ids}
        return {room_id: room for room_id, room in found.items() if room is not None}

    async def fill(self, room: Room, keys: Iterable[StateKey]) -> None:
        """Reads keys of the state that are not in memory."""
        while True:
            missing = [key for key in keys if not room.known(key)]
            if not missing:
                return
            serial = room.serial
            found: dict[StateKey, StateEvent] = {}
            members = [key[1] for key in missing if key[0] == "m.room.member"]
            if members:
                for event in await store.current_members(self.reader(), room.key, members):
                    found["m.room.member", event.state_key or ""] = state_event(event)
            for key in missing:
                if key[0] != "m.room.member":
                    event_of_key = await store.current_state_event(self.reader(), room.key, *key)
                    if event_of_key is not None:
                        found[key] = state_event(event_of_key)
            if room.serial != serial:
                continue  # a commit came between: what was read may be older than it
            for key in missing:
                room.learn(key, found.get(key))

    async def _load(self, room_id: RoomId) -> Room | None:
        key = room_key(room_id)
        while True:
            room = self._rooms.get(key)
            row = await store.fetch_room(self.reader(), key)
            if row is None:
                return None
            if room is None:
                self._make_place(1)
                room = self._admit(row)
            serial, position = room.serial, room.position
            head = await store.fetch_head(self.reader(), key)
            note = await store.last_note_position(self.reader(), key)
            core = await store.current_state_of_types(self.reader(), key, CORE_STATE)
            joined, invited = await store.member_counts(self.reader(), key)
            if room.loaded:
                return room
            if (room.serial, room.position) != (serial, position) or head is None:
                continue
            event, depth = head
            room.head = Head(event.position, event.event_id, depth, event.ts)
            room.position = max(event.position, note)
            room.joined, room.invited = joined, invited
            for event in core:
                room.learn((event.type, ""), state_event(event))
            for type_ in CORE_STATE:
                room.learn((type_, ""), None)
            room.loaded = True
            return room

    def _admit(self, row: store.RoomRow) -> Room:
        room = Room(
            row.room_id,
            ROOM_VERSIONS[row.version],
            row.creator,
            self._streams.stream_of(row.room_id),
        )
        self._rooms[room.key] = room
        return room

    def _make_place(self, wanted: int, keep: Collection[int] = ()) -> None:
        """Forgets rooms that nobody online is in, the longest known first, where so many more
        would be too many. What is being read or written stays: it is to hear of its commit.
        """
        too_many = len(self._rooms) + wanted - ROOMS_MAX
        if too_many <= 0:
            return
        idle = [
            key
            for key, room in self._rooms.items()
            if not room.watchers
            and room.pending is None
            and key not in self._loading
            and key not in keep
        ]
        self._let_go += 1
        for key in idle[: max(too_many, ROOMS_MAX // 10)]:
            del self._rooms[key]

    # -- hearing of commits --------------------------------------------------------------------

    def listen(self, listener: Listener) -> None:
        """`listener(stream, {room: entries})` hears of each batch."""
        self._listeners.append(listener)

    def listen_reset(self, listener: Callable[[int], None]) -> None:
        """`listener(stream)`: what was told of the stream may be incomplete."""
        self._reset_listeners.append(listener)

    def listen_redaction(self, listener: Callable[[Room], None]) -> None:
        """`listener(room)`: base bytes of an older event of the room have changed."""
        self._redaction_listeners.append(listener)

    def expect(self, room: Room) -> None:
        """A room's creation is on its way."""
        self._expected[room.key] = room

    def unexpect(self, room: Room) -> None:
        self._expected.pop(room.key, None)

    def is_expected(self, room_id: RoomId) -> bool:
        """Whether a room of this id is on its way, or has just arrived."""
        return room_key(room_id) in self._expected or self.resident(room_id) is not None

    def adopt(self, room: Room) -> None:
        """A room whose creation was committed."""
        self.unexpect(room)
        self._make_place(1)
        room.loaded = True
        room.complete = True
        self._rooms[room.key] = room

    def apply(
        self,
        room: Room,
        event: Event,
        head: Head,
        state: StateEvent | None,
        txn: TransactionKey | None,
    ) -> None:
        """An event was committed."""
        room.head = head
        room.position = event.position
        if state is not None:
            room.serial += 1
            if event.type == "m.room.member":
                self._count(room, state)
            room.put(state)
        room.settle(event.position)
        if txn is not None:
            self._transactions[room.stream].keep(txn, event.event_id, event.ts, event.position)
        self._tails[room.stream].append(event)
        self._tell(room, event)

    def apply_note(self, room: Room, note: DeviceNote) -> None:
        """A device note was committed."""
        room.position = note.position
        room.settle(note.position)
        self._tails[room.stream].append(note)
        self._tell(room, note)

    def apply_redaction(self, room: Room, redaction: Event, target: Event, content: bytes) -> None:
        """A redaction's target was pruned in storage; now it is in memory."""
        because = redaction.base + room_field(room.room_id) + b"}"
        seen = [target]
        held = self._tails[room.stream].since(room.key, target.position - 1, target.position)
        seen += [entry for entry in held or () if isinstance(entry, Event)]
        standing = room.state.get((target.type, target.state_key or ""))
        if target.state_key is not None and standing and standing.position == target.position:
            room.state[target.type, target.state_key] = structs.replace(
                standing, content=orjson.loads(content)
            )
            room.serial += 1
            seen.append(standing.event)
        for event in seen:
            event.base = pruned_base(event, content)
            event.content_size = len(content)
            event.redacted_by = redaction.position
            event.because = because
        if target.state_key is not None:
            self._prune_quotes(room, target, content)
        if target.type == "m.room.redaction":
            self._prune_reasons(room, target)
        for listener in self._redaction_listeners:
            listener(room)

    def _prune_quotes(self, room: Room, target: Event, content: bytes) -> None:
        """The state event that replaced a redacted one carries what that said."""
        tail = self._tails[room.stream]
        after = max(target.position, tail.floor)
        entries: list[Entry] = list(tail.since(room.key, after, room.position) or ())
        standing = room.state.get((target.type, target.state_key or ""))
        if standing is not None:
            entries.append(standing.event)
        for entry in entries:
            if isinstance(entry, Event) and entry.replaces == target.position:
                entry.prev_content = content

    def _prune_reasons(self, room: Room, redaction: Event) -> None:
        """Whatever a redacted redaction had taken away carries it as the reason."""
        because = redaction.base + room_field(room.room_id) + b"}"
        tail = self._tails[room.stream]
        entries: list[Entry] = list(tail.since(room.key, tail.floor, room.position) or ())
        entries += [standing.event for standing in room.state.values() if standing is not None]
        for entry in entries:
            if isinstance(entry, Event) and entry.redacted_by == redaction.position:
                entry.because = because

    def _tell(self, room: Room, entry: Entry) -> None:
        news = self._news[room.stream]
        entries = news.get(room)
        if entries is None:
            entries = news[room] = []
        entries.append(entry)

    def _count(self, room: Room, state: StateEvent) -> None:
        """Keeps the counts of members, from the event that the new one replaced."""
        event = state.event
        before = (
            orjson.loads(event.prev_content).get("membership")
            if event.prev_content is not None
            else None
        )
        after = state.membership
        room.joined += (after == "join") - (before == "join")
        room.invited += (after == "invite") - (before == "invite")

    # -- RoomLayers ----------------------------------------------------------------------------

    def dropped(self, stream: int) -> None:
        self._transactions[stream].drop_pending()
        for room in [room for room in self._expected.values() if room.stream == stream]:
            self.unexpect(room)
        for room in self._rooms.values():
            if room.stream == stream:
                room.pending = None

    def reset(self, stream: int) -> None:
        """Everything of the stream is read again when it is next asked for."""
        self.dropped(stream)
        self._news[stream] = {}
        self._tails[stream].reset(_NOWHERE)
        self._let_go += 1
        for key, room in list(self._rooms.items()):
            if room.stream == stream:
                room.loaded = False
                room.complete = False
                room.state.clear()
                room.serial += 1
                # Whoever watches looks the room up again: this one missed what was not told.
                del self._rooms[key]
        for listener in self._reset_listeners:
            listener(stream)

    def committed(self, stream: int, head: int) -> None:
        if self._tails[stream].floor > head:
            self._tails[stream].reset(head)
        news = self._news[stream]
        if not news:
            return
        self._news[stream] = {}
        for listener in self._listeners:
            listener(stream, news)
