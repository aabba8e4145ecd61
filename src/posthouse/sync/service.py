"""`/v3/sync`: who is online, who waits, and when a bell rings.

(1) A poll is judged and parked in one turn of the loop: nothing that is announced falls between.
(2) Most bells are answered from memory, by fragments that many share; whatever needs storage is
    read in a task of the exchange, for the cut captured at its beginning.
(3) Many bells ring in slices, so that one message to a thousand people doesn't hold the loop.
(4) To-device messages are deleted only up to the position a device presents, by that device.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

from posthouse.accounts import EVERYTHING, Accounts, Filter, includes_room
from posthouse.devices import Devices, ToDevice
from posthouse.http import Caller, Exchange
from posthouse.matrix import InvalidParam, Refusal, RoomId, UnknownToken, UserId
from posthouse.rooms import (
    Entry,
    Event,
    MembershipProjector,
    Reading,
    Room,
    RoomMemory,
    TypingNotices,
)
from posthouse.std.clock import Clock
from posthouse.std.faults import Unavailable
from posthouse.streams import (
    EntryKind,
    RoomStreams,
    ServerFacts,
    SteppedDown,
    SyncToken,
    UserEntry,
    UserStreams,
    decode_sync_token,
    device_tag,
)
from posthouse.sync.assembly import (
    TIMELINE_LIMIT_DEFAULT,
    TIMELINE_LIMIT_MAX,
    Answer,
    Assembler,
)
from posthouse.sync.cut import Cut
from posthouse.sync.fragments import Fragments, live_fragment, senders_are_warm
from posthouse.sync.home import Home
from posthouse.sync.waiting import TICK_S, TIMEOUT_MS_MAX, Waiter, Wheel

BELLS_PER_SLICE: Final = 64
_TELLS_MORE: Final = frozenset(
    ("m.room.member", "m.room.encryption", "m.room.name", "m.room.canonical_alias")
)
"""Events with which device lists or the room's summary change: the answer is read."""

HOMES_IDLE_S: Final = 300.0
HOMES_MAX: Final = 100_000


class Sync:
    """The people online in this process."""

    def __init__(
        self,
        *,
        facts: ServerFacts,
        epoch: int,
        memory: RoomMemory,
        room_streams: RoomStreams,
        user_streams: UserStreams,
        projector: MembershipProjector,
        reading: Reading,
        typing: TypingNotices,
        accounts: Accounts,
        devices: Devices,
        to_device: ToDevice,
        assembler: Assembler,
        clock: Clock,
    ) -> None:
        self._facts = facts
        self._epoch = epoch
        self._memory = memory
        self._room_streams = room_streams
        self._user_streams = user_streams
        self._projector = projector
        self._reading = reading
        self._typing = typing
        self._accounts = accounts
        self._devices = devices
        self._to_device = to_device
        self._assembler = assembler
        self._clock = clock
        self._homes: dict[UserId, Home] = {}
        self.fragments = Fragments(facts.generation)
        self._wheel = Wheel(clock.monotonic())
        self._ringing: deque[Home] = deque()
        self._slice_is_due = False
        self._unfetched: set[tuple[UserId, str]] = set()
        """Devices to whom to-device messages were sent: their next token deletes them."""
        self._closed = asyncio.Event()
        memory.listen(self._rooms_changed)
        memory.listen_reset(self._stream_reset)
        projector.listen_even(self._stream_reset)
        memory.listen_redaction(lambda _: self.fragments.clear())
        user_streams.listen(self._people_changed)
        user_streams.listen_reset(self._stream_reset)
        typing.listen(self._typing_changed)

    # -- asking --------------------------------------------------------------------------------

    def poll(self, caller: Caller, exchange: Exchange) -> None:
        """One request; answered now, later from memory, or by a task that reads."""
        query = exchange.query
        filter_text = query.get("filter")
        wanted: Filter | None = EVERYTHING
        if filter_text:
            wanted = self._accounts.cached_filter(caller.user_id, filter_text)
        since_text = query.get("since")
        since = self._read_token(caller.user_id, since_text) if since_text else None
        state_after = None
        if query.get("use_state_after") == "true":
            state_after = b"state_after"
        elif query.get("org.matrix.msc4222.use_state_after") == "true":
            state_after = b"org.matrix.msc4222.state_after"
        timeout_ms = _timeout_of(query.get("timeout"))
        home = self._home_of(caller.user_id)
        waiter = Waiter(
            home,
            caller,
            exchange,
            since,
            wanted or EVERYTHING,
            full_state=query.get("full_state") == "true",
            state_after=state_after,
            deadline=self._clock.monotonic() + timeout_ms / 1000 if timeout_ms else 0.0,
            asked_at=self._user_streams.head_of(caller.user_id),
        )
        if since is not None and (caller.user_id, caller.device_id) in self._unfetched:
            self._acknowledge(caller, since, exchange)
        if wanted is None:
            exchange.spawn(self._with_filter(waiter, filter_text or ""))
        else:
            self._attempt(waiter)

    async def _with_filter(self, waiter: Waiter, text: str) -> None:
        waiter.filter = await self._accounts.filter_of(waiter.caller.user_id, text)
        self._attempt(waiter)

    def _read_token(self, user_id: UserId, text: str) -> SyncToken | None:
        """The token, at the streams' present level; None for one of another copy of the data,
        which is answered in full.
        """
        token = decode_sync_token(text)
        if token.generation != self._facts.generation:
            return None
        token = token.at_level(self._facts.rooms.level, self._facts.users.level)
        heads = self._room_streams.heads()
        ahead = any(p > head for p, head in zip(token.rooms, heads, strict=True))
        if ahead or max(token.user, token.to_device) > self._user_streams.head_of(user_id):
            raise InvalidParam("The sync token is of a time that has not come yet.")
        return token

    def _start_token(self, caller: Caller, since: SyncToken | None) -> SyncToken:
        """`since` in this process's terms, or the token of somebody who knows nothing."""
        tag = device_tag(caller.device_id)
        if since is None:
            nothing = (0,) * self._facts.rooms.count
            return SyncToken(
                self._facts.generation,
                self._facts.rooms.level,
                nothing,
                nothing,
                self._facts.users.level,
                0,
                0,
                self._epoch,
                0,
                tag,
            )
        serial = since.serial if since.epoch == self._epoch else 0
        if serial == since.serial and since.epoch == self._epoch and since.device == tag:
            return since
        return SyncToken(
            since.generation,
            since.room_level,
            since.rooms,
            since.touched,
            since.user_level,
            # Another device's: how far this one has read is what it acknowledged, no further.
            since.to_device if since.device == tag else 0,
            since.user,
            self._epoch,
            serial,
            tag,
        )

    def _acknowledge(self, caller: Caller, since: SyncToken, exchange: Exchange) -> None:
        """Invariant 4."""
        if since.device != device_tag(caller.device_id):
            return
        self._unfetched.discard((caller.user_id, caller.device_id))

        async def delete() -> None:
            try:
                await self._to_device.acknowledge(caller.user_id, caller.device_id, since.to_device)
            except Unavailable:
                self._unfetched.add((caller.user_id, caller.device_id))

        exchange.spawn(delete())

    # -- answering -----------------------------------------------------------------------------

    def capture(self, user_id: UserId) -> Cut:
        """The present moment, as far as it may enter this person's token."""
        heads = self._room_streams.heads()
        rooms = tuple(
            [
                self._projector.known_up_to(stream, user_id, head)
                for stream, head in zip(self._facts.rooms.ids, heads, strict=True)
            ]
        )
        return Cut(
            rooms,
            self._room_streams.serials(),
            self._user_streams.head_of(user_id),
            self._typing.serial,
        )

    def _attempt(self, waiter: Waiter) -> None:
        """Answers from memory, or reads, or parks: invariant 1."""
        try:
            self._user_streams.ownership.check()
            home = waiter.home
            if home.signed_out_at(waiter.caller.device_id) > waiter.asked_at:
                raise UnknownToken()
            since = waiter.since
            if since is None or waiter.full_state or not home.loaded or home.stale:
                self._read(waiter)
                return
            start = self._start_token(waiter.caller, since)
            if home.user_position > start.user or home.to_device_position > start.to_device:
                self._read(waiter)
                return
            cut = self.capture(home.user_id)
            body, needs_storage = self._live(waiter, start, cut)
            if needs_storage:
                self._read(waiter)
            elif body is not None:
                self._answer(waiter, body)
            elif waiter.deadline <= self._clock.monotonic():
                self._answer_empty(waiter, start, cut)
            else:
                self._park(waiter)
        except Refusal as refusal:
            self._unpark(waiter)
            waiter.exchange.refuse(refusal)
        except Unavailable as fault:
            self._unpark(waiter)
            waiter.exchange.fail(fault)

    def _live(self, waiter: Waiter, start: SyncToken, cut: Cut) -> tuple[bytes | None, bool]:
        """The answer from memory; None where there is no news, True where storage is needed."""
        home = waiter.home
        caller = waiter.caller
        wanted = waiter.filter
        counts = self._devices.cached_key_counts(caller.user_id, caller.device_id)
        if counts is None:
            return None, True
        changed = home.changed_since(start.rooms, self._facts.rooms.count)
        limit = wanted.room.timeline.limit
        limit = TIMELINE_LIMIT_DEFAULT if limit is None else min(limit, TIMELINE_LIMIT_MAX)
        texts: list[bytes] = []
        told: set[RoomId] = set()
        people: set[UserId] = set()
        now_ms = 0
        for room in changed:
            index = room.stream - self._facts.rooms.count
            after, up_to = start.rooms[index], cut.rooms[index]
            if up_to <= after:
                continue
            if home.rooms[room.room_id][1] > after:
                return None, True
            entries = self._memory.tail(room.stream).since(room.key, after, up_to)
            if entries is None or len(entries) > limit:
                return None, True
            if not entries or (wanted.room.rooms or wanted.room.not_rooms):
                if entries:
                    return None, True
                continue
            own_send = False
            events: list[Event] = []
            for entry in entries:
                if not isinstance(entry, Event):
                    people.add(entry.user_id)
                    continue
                if entry.type in _TELLS_MORE:
                    return None, True
                if entry.txn_device == caller.device_id and entry.sender == caller.user_id:
                    own_send = True
                events.append(entry)
            if not events:
                continue
            if not room.loaded or not senders_are_warm(room, events, wanted.room):
                return None, True
            now_ms = now_ms or self._clock.now_ms()
            if own_send:
                text = live_fragment(
                    room,
                    events,
                    wanted.room,
                    waiter.state_after,
                    now_ms=now_ms,
                    generation=self._facts.generation,
                    device=(caller.user_id, caller.device_id),
                )
            else:
                text = self.fragments.of(
                    room, events, wanted.room, waiter.state_after, now_ms=now_ms
                )
            if not text:
                continue
            told.add(room.room_id)
            if start.serial < cut.serial:
                text += self._assembler.extras(room.room_id, start, wanted, None)
            texts.append(text + b"}")
        if start.serial < cut.serial:
            texts += self._typing_elsewhere(home, start, wanted, told)
        if not texts and not people:
            return None, False
        token = cut.token(start, to_device=cut.user).encode().encode()
        body = b'{"next_batch":"%s",' % token
        if texts:
            body += b'"rooms":{"join":{%s}},' % b",".join(texts)
        if people:
            names = b",".join(b'"%s"' % name.encode() for name in sorted(people))
            body += b'"device_lists":{"changed":[%s],"left":[]},' % names
        return body + counts.fragment + b"}", False

    def _typing_elsewhere(
        self, home: Home, start: SyncToken, wanted: Filter, told: set[RoomId]
    ) -> list[bytes]:
        texts = []
        for room_id in self._typing.rooms_since(start.serial):
            if room_id in told or not includes_room(wanted.room, room_id):
                continue
            if room_id in home.rooms:
                extras = self._assembler.extras(room_id, start, wanted, None)
                if extras:
                    texts.append(b'"%s":{%s}' % (room_id.encode(), extras[1:]))
        return texts

    def _answer(self, waiter: Waiter, body: bytes) -> None:
        self._unpark(waiter)
        waiter.exchange.answer(body)

    def _answer_empty(self, waiter: Waiter, start: SyncToken, cut: Cut) -> None:
        """Nothing happened up to a cut that was looked at in this turn: the token moves on."""
        self._answer_with_token(waiter, cut.token(start, to_device=cut.user))

    def _answer_unmoved(self, waiter: Waiter) -> None:
        """For who is sent away without a look: the next sync begins where this one did."""
        assert waiter.since is not None
        if self._user_streams.ownership.lost:
            self._unpark(waiter)
            waiter.exchange.fail(SteppedDown())
            return
        self._answer_with_token(waiter, self._start_token(waiter.caller, waiter.since))

    def _answer_with_token(self, waiter: Waiter, token: SyncToken) -> None:
        counts = self._devices.cached_key_counts(waiter.caller.user_id, waiter.caller.device_id)
        body = b'{"next_batch":"%s"' % token.encode().encode()
        if counts is not None:
            body += b"," + counts.fragment
        self._answer(waiter, body + b"}")

    def _read(self, waiter: Waiter) -> None:
        self._unpark(waiter)
        waiter.exchange.spawn(self._assemble(waiter))

    async def _assemble(self, waiter: Waiter) -> None:
        home = waiter.home
        caller = waiter.caller
        if not home.loaded or home.stale:
            await self._load(home)
        cut = self.capture(home.user_id)
        start = self._start_token(caller, waiter.since)
        answer: Answer = await self._assembler.assemble(
            home,
            caller,
            waiter.since,
            start,
            cut,
            waiter.filter,
            full_state=waiter.full_state,
            state_after=waiter.state_after,
            now_ms=self._clock.now_ms(),
        )
        self._user_streams.ownership.check()
        if home.signed_out_at(caller.device_id) > waiter.asked_at:
            raise UnknownToken()
        if not waiter.exchange.is_open:
            return
        if answer.carries_to_device:
            self._unfetched.add((caller.user_id, caller.device_id))
        if answer.has_news or waiter.since is None or waiter.full_state:
            waiter.exchange.answer(answer.body)
            return
        # Nothing to tell: what was looked at needn't be looked at again.
        waiter.since = cut.token(start, to_device=cut.user)
        if waiter.deadline <= self._clock.monotonic() or self._closed.is_set():
            waiter.exchange.answer(answer.body)
        else:
            self._attempt(waiter)

    # -- waiting -------------------------------------------------------------------------------

    def _park(self, waiter: Waiter) -> None:
        if waiter.is_parked or not waiter.exchange.is_open:
            return
        waiter.is_parked = True
        waiter.home.waiters.append(waiter)
        self._wheel.add(waiter)
        waiter.exchange.on_gone = lambda: self._unpark(waiter)
        waiter.exchange.on_drain = lambda: self._answer_unmoved(waiter)

    def _unpark(self, waiter: Waiter) -> None:
        if not waiter.is_parked:
            return
        waiter.is_parked = False
        waiter.home.waiters.remove(waiter)
        waiter.home.seen_s = self._clock.monotonic()
        self._wheel.remove(waiter)
        waiter.exchange.on_gone = None
        waiter.exchange.on_drain = None

    async def run(self) -> None:
        """Ends waits whose time is over, typing that has stopped, and homes nobody is in."""
        while not self._closed.is_set():
            try:
                async with asyncio.timeout(TICK_S):
                    await self._closed.wait()
            except TimeoutError:
                now = self._clock.monotonic()
                self.turn(now)
                self._typing.expire()
                self._send_home(now)

    def turn(self, now: float) -> None:
        """Ends the waits whose time is over."""
        self._wheel.turn(now, self._expire)

    def close(self) -> None:
        self._closed.set()

    def _expire(self, waiter: Waiter) -> None:
        """Looks once more: the bell of what was announced a moment ago may not have rung yet."""
        waiter.deadline = 0.0
        self._attempt(waiter)

    def _send_home(self, now: float) -> None:
        """Forgets people who have not asked for a while; the dict is in order of arrival."""
        for user_id, home in list(islice(self._homes.items(), 64)):
            if home.waiters or now - home.seen_s < HOMES_IDLE_S:
                del self._homes[user_id]
                self._homes[user_id] = home  # looked at: to the back of the queue
            else:
                del self._homes[user_id]
                home.leave_rooms()

    # -- homes ---------------------------------------------------------------------------------

    def _home_of(self, user_id: UserId) -> Home:
        home = self._homes.get(user_id)
        if home is None:
            if len(self._homes) >= HOMES_MAX:
                raise Unavailable("Too many people are online here. Try again in a moment.")
            home = self._homes[user_id] = Home(user_id, self._ring)
        home.seen_s = self._clock.monotonic()
        return home

    async def _load(self, home: Home) -> None:
        """Reads the person's memberships until nothing changed meanwhile, one reading at a time."""
        async with home.reading:
            while not home.loaded or home.stale:
                await self._read_memberships(home)

    async def _read_memberships(self, home: Home) -> None:
        doubts = home.doubts
        head = self._user_streams.head_of(home.user_id)
        pointers = [
            pointer
            for pointer in await self._reading.pointers(self._user_streams.reader(), home.user_id)
            # One that is committed and not yet announced is not in the person's token either. What
            # was before it isn't known here: the room counts as theirs, and its log has the word.
            if pointer.membership == "join" or pointer.position > head
        ]
        rooms = await self._memory.get_many([pointer.room_id for pointer in pointers])
        joined = [(p, rooms[p.room_id]) for p in pointers if p.room_id in rooms]
        home.settle(joined, self._room_streams.heads(), doubts=doubts)
        # What was announced while nobody listened for this person is looked for once.
        home.user_position = max(home.user_position, head)
        home.to_device_position = max(home.to_device_position, head)

    # -- hearing -------------------------------------------------------------------------------

    def _rooms_changed(self, stream: int, news: dict[Room, list[Entry]]) -> None:
        for room in news:
            for home in room.watchers:
                home.room_changed(room)

    def _people_changed(self, entries: Sequence[UserEntry]) -> None:
        for entry in entries:
            home = self._homes.get(entry.user_id)
            if home is None:
                continue
            if entry.kind is EntryKind.TO_DEVICE:
                home.to_device_position = max(home.to_device_position, entry.position)
            elif entry.position:
                home.user_position = max(home.user_position, entry.position)
                if entry.kind is EntryKind.MEMBERSHIP:
                    home.doubt()
                elif entry.kind is EntryKind.SIGNED_OUT:
                    home.sign_out(entry.device_id, entry.position)
            if entry.position and home.waiters:
                self._ring(home)

    def _typing_changed(self, room_id: RoomId) -> None:
        room = self._memory.resident(room_id)
        if room is None:
            return
        for home in room.watchers:
            home.somebody_types()

    def _stream_reset(self, stream: int) -> None:
        """Announcements may have been lost: everybody looks again."""
        self.fragments.clear()
        for home in list(self._homes.values()):
            home.doubt()
            home.leave_rooms()
            if home.waiters:
                self._ring(home)

    def _ring(self, home: Home) -> None:
        if home.is_ringing:
            return
        home.is_ringing = True
        self._ringing.append(home)
        if not self._slice_is_due:
            self._slice_is_due = True
            asyncio.get_running_loop().call_soon(self._ring_slice)

    def _ring_slice(self) -> None:
        """Invariant 3."""
        for _ in range(min(BELLS_PER_SLICE, len(self._ringing))):
            home = self._ringing.popleft()
            home.is_ringing = False
            for waiter in list(home.waiters):
                try:
                    self._attempt(waiter)
                except Exception as error:
                    self._unpark(waiter)
                    waiter.exchange.fail(error)
        if self._ringing:
            asyncio.get_running_loop().call_soon(self._ring_slice)
        else:
            self._slice_is_due = False


def _timeout_of(text: str | None) -> int:
    if not text:
        return 0
    try:
        timeout_ms = int(text)
    except ValueError:
        raise InvalidParam("timeout is a number of milliseconds.") from None
    return max(0, min(timeout_ms, TIMEOUT_MS_MAX))
