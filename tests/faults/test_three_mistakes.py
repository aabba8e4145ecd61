"""Three things that must never happen, and three builds with the mistake put in that do them.

Each scenario is run twice on each engine: on the server as it is, where it finds nothing, and on
one with the mistake, where it must find it. A scenario that can't see the mistake is worth nothing.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from posthouse.matrix import EventId, RoomId, UserId, event_id_of
from posthouse.rooms import Event, Wish
from posthouse.rooms.judging import Appender
from posthouse.rooms.memory import RoomMemory
from posthouse.std.faults import Unavailable
from posthouse.storage import Owner
from posthouse.streams import Batch, RoomStreams
from posthouse.streams.store import StreamTable
from posthouse.streams.writer import Writer
from tests.databases import Place
from tests.faults.database import Gate, MetDatabase, Step
from tests.world import Person, World, world_at


async def _send(world: World, person: Person, room: str, text: str, txn: str) -> EventId:
    """Through the front door of rooms: what is asked here lies below HTTP."""
    return await world.services.rooms.send(
        UserId(person.user_id),
        person.phone.device_id,
        RoomId(room),
        "m.room.message",
        {"msgtype": "m.text", "body": text},
        txn,
    )


# -- the fence ---------------------------------------------------------------------------------


async def _acknowledged_and_lost(place: Place) -> list[str]:
    """An owner is paused in the middle of a commit; another takes over and writes; the old one
    goes on. Returns the acknowledged messages that are not in the log exactly once.
    """
    gate = Gate(Owner.ROOM, Step.BEGIN)
    database = None

    def wrap(inner: Any) -> Any:
        nonlocal database
        database = MetDatabase(inner)
        return database

    acknowledged: list[str] = []
    async with world_at(place.shared(), wrap=wrap) as old:
        ada = await old.person("ada")
        room = await old.services.rooms.create(
            UserId(ada.user_id), Wish(preset="public_chat"), None
        )
        assert database is not None
        database.meet = gate.meet
        async with asyncio.TaskGroup() as group:

            async def send_late() -> None:
                with contextlib.suppress(Unavailable):
                    acknowledged.append(await _send(old, ada, room, "late", "late"))

            late = group.create_task(send_late())
            await gate.reached.wait()
            async with world_at(place.shared()) as new:
                acknowledged.append(await _send(new, ada, room, "early", "early"))
                gate.opened.set()
                await late
                acknowledged.append(await _send(new, ada, room, "last", "last"))
                log = await _log(new, room)
    return [event_id for event_id in acknowledged if log.count(event_id) != 1] + _misplaced(log)


def _misplaced(log: list[str]) -> list[str]:
    return [event_id for event_id in set(log) if log.count(event_id) > 1]


async def test_a_paused_owner_that_goes_on_loses_nothing_that_was_acknowledged(
    place: Place,
) -> None:
    assert await _acknowledged_and_lost(place) == []


async def test_without_the_fence_a_paused_owner_does_harm(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def advance(self: StreamTable, tx: Any, stream: int, **kwargs: int) -> bool:
        name = self._advance.split()[1]
        await tx.execute(
            f"UPDATE {name} SET head = $1, touched = $2 WHERE stream = $3",
            kwargs["new"],
            kwargs["touched"],
            stream,
        )
        return True

    monkeypatch.setattr(StreamTable, "advance", advance)

    try:
        harm = await _acknowledged_and_lost(place)
    except Exception as error:
        # The second fence, the primary key, catches what the first would have refused.
        harm = [str(error)]

    assert harm


# -- what readers see --------------------------------------------------------------------------


async def _seen_and_gone(
    place: Place, step: Step, put_in: Callable[[], None] = lambda: None
) -> list[str]:
    """A commit is held, somebody reads, then the commit fails. Returns what was seen of a message
    that never came to be. `put_in` puts the mistake in once the room stands.
    """
    gate = Gate(Owner.ROOM, step)
    gate.fault = Unavailable("the disk is gone")
    database = None

    def wrap(inner: Any) -> Any:
        nonlocal database
        database = MetDatabase(inner)
        return database

    async with world_at(place, wrap=wrap) as world:
        ada, boris = await world.person("ada"), await world.person("boris")
        room = await world.services.rooms.create(
            UserId(ada.user_id), Wish(preset="public_chat"), None
        )
        await world.services.rooms.join(UserId(boris.user_id), room)
        await boris.phone.syncs()
        put_in()
        assert database is not None
        database.meet = gate.meet
        async with asyncio.TaskGroup() as group:

            async def send() -> None:
                with pytest.raises(Unavailable):
                    await _send(world, ada, room, "never", "never")

            group.create_task(send())
            await gate.reached.wait()
            seen = await boris.phone.hears(room)
            gate.opened.set()
        await world.services.room_streams.wait_until_accepting()
        log = await _log(world, room, texts=True)
    assert "never" not in log
    return seen


async def test_nobody_sees_what_is_not_committed(place: Place) -> None:
    assert await _seen_and_gone(place, Step.COMMIT) == []


async def test_readers_on_pending_would_see_what_never_came_to_be(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Appender.append

    def append(self: Appender, batch: Batch, room: Any, draft: Any, now_ms: int) -> Event:
        """Makes visible what is merely judged."""
        event = whole(self, batch, room, draft, now_ms)
        calls, batch.applied = batch.applied, []
        for call in calls:
            call()
        self._memory.committed(room.stream, batch.head)
        return event

    def heads(self: RoomStreams) -> tuple[int, ...]:
        return tuple(w._in_flight.head if w._in_flight else w.head for w in self.writers.values())

    def put_in() -> None:
        monkeypatch.setattr(Appender, "append", append)
        monkeypatch.setattr(RoomStreams, "heads", heads)

    try:
        seen = await _seen_and_gone(place, Step.COMMIT, put_in)
    except AssertionError as error:
        seen = [str(error)]

    assert seen


async def test_announcing_before_the_commit_would_tell_what_never_came_to_be(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Writer._write

    async def write(self: Writer, batch: Batch) -> None:
        if self.owner is Owner.ROOM:
            self._apply(batch)
            batch.applied = []
            self.head = batch.head
            self._committed(self.stream, batch.head)
        await original(self, batch)

    try:
        seen = await _seen_and_gone(
            place, Step.COMMIT, lambda: monkeypatch.setattr(Writer, "_write", write)
        )
    except AssertionError as error:
        seen = [str(error)]

    assert seen


# -- asked of the log --------------------------------------------------------------------------


async def _log(world: World, room: str, *, texts: bool = False) -> list[str]:
    memory: RoomMemory = world.services.memory
    rows = await memory.reader().fetch_all(
        "SELECT e.hash, e.content FROM events e JOIN rooms r ON r.room = e.room "
        "WHERE r.room_id = $1 ORDER BY e.position",
        room,
    )
    if texts:
        return [row[1].decode() for row in rows]
    return [event_id_of(row[0]) for row in rows]
