"""A fault at each step of a writer: what it takes down, what it leaves, and what is judged next.

Each test breaks one step once. Whoever was hit by it is answered 503 with `Retry-After`, or 200
where the write turned out to have happened; nothing is seen half; the same request again makes one
event and no second one; and what is judged next is judged on the truth.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from posthouse.matrix import RoomId, UserId
from posthouse.rooms import RoomCheck
from posthouse.rooms import memory as memory_module
from posthouse.rooms.judging import Appender
from posthouse.rooms.memory import RoomMemory
from posthouse.std.faults import Unavailable
from posthouse.storage import InDoubt, Owner
from posthouse.streams import UserStreams
from tests.databases import Place
from tests.faults.database import Gate, MetDatabase, Step, failing_once
from tests.http.support import until
from tests.world import V3, Device, Json, Person, World, world_at


class Broken(Exception):
    """What a mistake of ours raises."""


@dataclass
class Fault:
    """One way in which a write can go wrong."""

    name: str
    break_room: Callable[["Trial"], None]
    """Breaks the next write of a room stream."""
    break_user: Callable[["Trial"], None]
    happens: bool = False
    """Whether the write is done all the same, and answered so."""

    def __str__(self) -> str:
        return self.name


@dataclass
class Trial:
    """A room of Ada's with Boris and Mallory, on a database that can be met."""

    world: World
    database: MetDatabase
    monkeypatch: pytest.MonkeyPatch
    ada: Person
    boris: Person
    mallory: Person
    room: str

    def fails_at(self, owner: Owner, step: Step, fault: Exception | None = None) -> None:
        self.database.meet = failing_once(owner, step, fault)

    def raises_once(self, of: type, name: str, *, after: bool = False) -> None:
        """The next call of a method raises, before or after it did its work."""
        whole = getattr(of, name)
        left = [True]

        def once(*args: Any, **kwargs: Any) -> Any:
            if not left[0]:
                return whole(*args, **kwargs)
            left[0] = False
            if after:
                whole(*args, **kwargs)
            raise Broken(name)

        self.monkeypatch.setattr(of, name, once)

    async def settle(self) -> None:
        """Until the writers know what became of everything."""
        self.monkeypatch.undo()
        for writer in (
            *self.world.services.room_streams.writers.values(),
            *self.world.here.user_streams.writers.values(),
        ):
            await writer.wait_until_settled()
        await self.world.services.settled()


def at(step: Step, fault: Callable[[], Exception] | None = None) -> dict[str, Any]:
    return {
        "break_room": lambda trial: trial.fails_at(Owner.ROOM, step, fault and fault()),
        "break_user": lambda trial: trial.fails_at(Owner.USER, step, fault and fault()),
    }


def in_doubt() -> Exception:
    return InDoubt("the answer to COMMIT was lost")


FAULTS = [
    Fault("fence", **at(Step.BEGIN)),
    Fault("insert", **at(Step.INSERT)),
    Fault("commit", **at(Step.COMMIT)),
    Fault("in doubt, not done", **at(Step.COMMIT, in_doubt)),
    Fault("in doubt, done", **at(Step.COMMITTED), happens=True),
    Fault(
        "announce",
        break_room=lambda trial: trial.raises_once(RoomMemory, "apply"),
        break_user=lambda trial: trial.raises_once(UserStreams, "_tell"),
        happens=True,
    ),
]
"""A fault of the judge is not the world's but ours: it has a test of its own."""


@pytest.fixture
async def trial(place: Place, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Trial]:
    met: list[MetDatabase] = []

    def wrap(inner: Any) -> Any:
        met.append(MetDatabase(inner))
        return met[0]

    async with world_at(place, room_streams=4, user_streams=2, wrap=wrap) as world:
        ada, boris = await world.person("ada"), await world.person("boris")
        mallory = await world.person("mallory")
        room = await world.room(ada, boris, mallory)
        for person in (ada, boris, mallory):
            await person.phone.syncs()
        await world.services.settled()
        yield Trial(world, met[0], monkeypatch, ada, boris, mallory, room)


async def sends(trial: Trial, device: Device, txn: str, text: str) -> tuple[int, str | None, Json]:
    """Status, `Retry-After` and body of one send."""
    path = f"{V3}/rooms/{quote(trial.room)}/send/m.room.message/{txn}"
    status, headers, body = await trial.world.answer_of(
        "PUT", path, {"msgtype": "m.text", "body": text}, token=device.token
    )
    return status, headers.get("Retry-After"), body


async def texts_in_the_log(trial: Trial) -> list[str]:
    answer = await trial.ada.phone.messages(trial.room, dir_="f", limit=100)
    return [e["content"]["body"] for e in answer["chunk"] if e["type"] == "m.room.message"]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_after_a_fault_at_any_step_of_a_send_a_ban_is_judged_right(
    trial: Trial, fault: Fault
) -> None:
    fault.break_room(trial)
    status, retry_after, body = await sends(trial, trial.mallory.phone, "first", "one")
    assert (status, retry_after is not None) == ((200, False) if fault.happens else (503, True))
    await trial.settle()
    assert await trial.boris.phone.hears(trial.room) == (["one"] if fault.happens else [])

    # The same request again: one event, the same for everybody.
    again, _, second = await sends(trial, trial.mallory.phone, "first", "one")
    assert again == 200
    assert not fault.happens or second == body
    await trial.ada.phone.bans(trial.room, trial.mallory.user_id)
    late, _, refused = await sends(trial, trial.mallory.phone, "second", "two")

    assert (late, refused["errcode"]) == (403, "M_FORBIDDEN")
    assert await texts_in_the_log(trial) == ["one"]
    assert await trial.boris.phone.hears(trial.room) == ([] if fault.happens else ["one"]) + [""]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_a_ban_that_fails_at_any_step_bans_when_it_is_asked_again(
    trial: Trial, fault: Fault
) -> None:
    fault.break_room(trial)
    status, headers, _ = await trial.world.answer_of(
        "POST",
        f"{V3}/rooms/{quote(trial.room)}/ban",
        {"user_id": trial.mallory.user_id},
        token=trial.ada.phone.token,
    )
    assert status == (200 if fault.happens else 503)
    assert ("Retry-After" in headers) is not fault.happens
    await trial.settle()
    status, _, _ = await sends(trial, trial.mallory.phone, "between", "between")
    assert status == (403 if fault.happens else 200)

    await trial.ada.phone.bans(trial.room, trial.mallory.user_id)
    late, _, _ = await sends(trial, trial.mallory.phone, "after", "after")

    assert late == 403
    assert await texts_in_the_log(trial) == ([] if fault.happens else ["between"])
    left = (await trial.mallory.phone.syncs())["rooms"]["leave"]
    assert trial.room in left


async def test_a_waiting_poll_hears_of_a_message_whose_announcement_failed(trial: Trial) -> None:
    trial.raises_once(RoomMemory, "apply")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(trial.boris.phone.hears(trial.room, wait_ms=30_000))
        await until(lambda: trial.world.services.sync._homes[UserId(trial.boris.user_id)].waiters)
        assert (await sends(trial, trial.ada.phone, "one", "one"))[0] == 200

    assert waiting.result() == ["one"]


async def test_who_was_judged_by_a_ban_that_never_came_to_be_is_not_banned(trial: Trial) -> None:
    gate = Gate(Owner.ROOM, Step.COMMIT)
    gate.fault = Unavailable("the disk is gone")
    writers = trial.world.services.room_streams.writers.values()
    trial.database.meet = gate.meet
    async with asyncio.TaskGroup() as group:

        async def ban() -> None:
            refusal = await trial.ada.phone.refusal(
                "POST",
                f"{V3}/rooms/{quote(trial.room)}/ban",
                {"user_id": trial.mallory.user_id},
            )
            assert refusal.status == 503

        group.create_task(ban())
        await gate.reached.wait()
        assert (await sends(trial, trial.mallory.phone, "early", "early"))[0] == 403
        boris = group.create_task(sends(trial, trial.boris.phone, "behind", "behind"))
        await until(lambda: any(w._queue for w in writers))
        gate.opened.set()
    assert boris.result()[0] == 503, "what was judged on the ban falls with it"
    await trial.settle()

    assert (await sends(trial, trial.mallory.phone, "early", "early"))[0] == 200
    assert (await sends(trial, trial.boris.phone, "behind", "behind"))[0] == 200
    assert await texts_in_the_log(trial) == ["early", "behind"]


async def test_a_mistake_in_judging_takes_down_its_own_request_and_nothing_else(
    trial: Trial,
) -> None:
    trial.raises_once(Appender, "append", after=True)
    status, _, _ = await sends(trial, trial.mallory.phone, "first", "one")
    assert status == 500
    await trial.settle()
    assert await trial.boris.phone.hears(trial.room) == []

    assert (await sends(trial, trial.mallory.phone, "first", "one"))[0] == 200
    await trial.ada.phone.bans(trial.room, trial.mallory.user_id)

    assert (await sends(trial, trial.mallory.phone, "second", "two"))[0] == 403
    assert await texts_in_the_log(trial) == ["one"]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_a_fault_at_any_step_of_a_persons_stream_is_answered_and_outlived(
    trial: Trial, fault: Fault
) -> None:
    """Account data, which others of the same person wait for, and a message to a device."""
    path = f"{V3}/user/{quote(trial.ada.user_id)}/account_data/org.example.note"
    fault.break_user(trial)
    status, headers, _ = await trial.world.answer_of(
        "PUT", path, {"note": 1}, token=trial.ada.phone.token
    )
    assert (status, "Retry-After" in headers) == ((200, False) if fault.happens else (503, True))
    await trial.settle()
    seen = (await trial.ada.phone.syncs()).get("account_data", {}).get("events", [])
    assert [e["content"] for e in seen] == ([{"note": 1}] if fault.happens else [])
    await trial.ada.phone.ask("PUT", path, {"note": 2})
    seen = (await trial.ada.phone.syncs())["account_data"]["events"]
    assert [e["content"] for e in seen] == [{"note": 2}]

    send = f"{V3}/sendToDevice/org.example.hello/once"
    message = {"messages": {trial.boris.user_id: {trial.boris.phone.device_id: {"hello": 1}}}}
    fault.break_user(trial)
    status, _, _ = await trial.world.answer_of("PUT", send, message, token=trial.ada.phone.token)
    assert status == (200 if fault.happens else 503)
    await trial.settle()
    await trial.ada.phone.ask("PUT", send, message)
    answer = await trial.boris.phone.syncs()

    assert [e["content"] for e in answer["to_device"]["events"]] == [{"hello": 1}]
    assert "to_device" not in await trial.boris.phone.syncs()


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_a_membership_is_copied_once_whatever_failed_on_the_way(
    trial: Trial, fault: Fault
) -> None:
    """The projector writes into the person's stream; it tries again by itself."""
    dora = await trial.world.person("dora")
    await dora.phone.syncs()
    fault.break_user(trial)
    await trial.world.services.rooms.join(UserId(dora.user_id), RoomId(trial.room))
    await trial.settle()
    await trial.world.services.settled()

    assert trial.room in (await dora.phone.syncs())["rooms"]["join"]
    assert "rooms" not in await dora.phone.syncs()


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_who_joined_while_a_room_stream_failed_is_told_of_the_room_once(
    trial: Trial, fault: Fault
) -> None:
    dora = await trial.world.person("dora")
    await dora.phone.syncs()
    fault.break_room(trial)
    status, _, _ = await trial.world.answer_of(
        "POST", f"{V3}/rooms/{quote(trial.room)}/join", {}, token=dora.phone.token
    )
    assert status == (200 if fault.happens else 503)
    await trial.settle()
    if not fault.happens:
        assert "rooms" not in await dora.phone.syncs()
        await dora.phone.joins(trial.room)
    await trial.world.services.settled()
    await trial.ada.phone.says(trial.room, "welcome")

    answer = await dora.phone.syncs()
    assert [e["content"].get("body") for e in dora.phone.timeline(answer, trial.room)][-1:] == [
        "welcome"
    ]
    members = await trial.ada.phone.ask("GET", f"{V3}/rooms/{quote(trial.room)}/joined_members")
    assert dora.user_id in members["joined"]


async def test_nothing_is_judged_on_a_room_that_memory_has_let_go_of(trial: Trial) -> None:
    """A request that waits for a read holds the room's object; meanwhile it is evicted, loaded
    again by somebody else, and has another head.
    """
    reached, opened = asyncio.Event(), asyncio.Event()

    async def hold_first(owner: Owner, step: Step) -> None:
        if (owner, step) == (Owner.ROOM, Step.READ) and not reached.is_set():
            reached.set()
            await opened.wait()

    memory = trial.world.services.memory
    known = memory.resident(RoomId(trial.room))
    assert known is not None
    known.complete = False
    known.state.pop(("m.room.member", trial.boris.user_id), None)
    trial.database.meet = hold_first
    async with asyncio.TaskGroup() as group:
        first = group.create_task(sends(trial, trial.boris.phone, "one", "one"))
        await reached.wait()
        held = memory.resident(RoomId(trial.room))
        assert held is not None
        held.watchers.clear()
        with pytest.MonkeyPatch.context() as smaller:
            smaller.setattr(memory_module, "ROOMS_MAX", 10)
            memory._make_place(10)
        assert memory.resident(RoomId(trial.room)) is None
        assert (await sends(trial, trial.ada.phone, "two", "two"))[0] == 200
        opened.set()

    assert first.result()[0] == 200
    assert await texts_in_the_log(trial) == ["two", "one"]
    users = trial.world.here.user_streams.reader()
    assert [problem async for problem in RoomCheck(memory.reader(), users).problems()] == []
