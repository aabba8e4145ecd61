"""What happens between two moments of a sync: nothing is lost, told too early, or told to nobody."""

import asyncio
from typing import Any

from posthouse.matrix import RoomId, UserId
from posthouse.storage import Database, Owner
from tests.databases import Place
from tests.faults.database import Meet, MetDatabase, OneVisit, Step
from tests.sync.polls import knows, poll, said
from tests.world import V3, Person, World, world_at

FAR_AHEAD_S = 1e9
"""Later on the monotonic clock than any wait ends."""


class Held:
    """A world over a database that a test may hold."""

    def __init__(self) -> None:
        self.database: MetDatabase | None = None

    def wrap(self, inner: Database) -> Database:
        self.database = MetDatabase(inner)
        return self.database

    def at(self, meet: Meet) -> None:
        assert self.database is not None
        self.database.meet = meet


async def _person_of_other_stream(world: World, other: Person) -> Person:
    """Somebody whose log another writer writes."""
    stream_of = world.here.user_streams.stream_of
    for number in range(64):
        person = await world.person(f"guest{number}")
        if stream_of(UserId(person.user_id)) != stream_of(UserId(other.user_id)):
            return person
    raise AssertionError("all in one stream")


async def test_a_wait_that_ends_in_the_moment_of_a_message_still_tells_of_it(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris)
    await boris.phone.syncs()
    sync = world.services.sync

    async with asyncio.TaskGroup() as group:
        waiting = poll(world, group, boris.phone, timeout=30_000)
        assert waiting.is_parked
        world.services.memory.listen(lambda stream, news: sync.turn(FAR_AHEAD_S))
        await ada.phone.says(room, "hello")
        first = await waiting.answered()
    second = await boris.phone.syncs()

    assert said([first, second], room) == ["hello"]


async def test_a_stop_in_the_moment_of_a_message_still_tells_of_it(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris)
    await boris.phone.syncs()

    async with asyncio.TaskGroup() as group:
        waiting = poll(world, group, boris.phone, timeout=30_000)

        def drain(*_: Any) -> None:
            if waiting.on_drain is not None:
                waiting.on_drain()

        world.services.memory.listen(drain)
        await ada.phone.says(room, "hello")
        first = await waiting.answered()
    second = await boris.phone.syncs()

    assert said([first, second], room) == ["hello"]


async def test_a_wait_that_ends_in_the_moment_of_a_letter_still_brings_it(world: World) -> None:
    """A to-device message that a token has passed would never be sent, and then deleted."""
    ada, boris = await world.person("ada"), await world.person("boris")
    await boris.phone.syncs()
    sync = world.services.sync

    async with asyncio.TaskGroup() as group:
        waiting = poll(world, group, boris.phone, timeout=30_000)
        world.here.user_streams.listen(lambda entries: sync.turn(FAR_AHEAD_S))
        await _writes(ada, boris, "key")
        first = await waiting.answered()
    second = await boris.phone.syncs()

    assert _letters(first) + _letters(second) == ["key"]


async def test_a_new_room_is_told_whole_while_a_guest_is_still_being_told(place: Place) -> None:
    """The pointers of a batch go into several user streams, one after the other."""
    held = Held()
    async with world_at(place, room_streams=4, user_streams=2, wrap=held.wrap) as world:
        ada = await world.person("ada")
        guest = await _person_of_other_stream(world, ada)
        await ada.phone.syncs()
        gate = OneVisit(Owner.USER, Step.BEGIN, 2)

        async with asyncio.TaskGroup() as group:
            held.at(gate.meet)
            making = group.create_task(ada.phone.creates(name="Post", invite=[guest.user_id]))
            await gate.reached.wait()
            first = await ada.phone.syncs()
            gate.opened.set()
            room = await making
        second = await ada.phone.syncs()

        assert knows([first, second], room, "m.room.name") == {"name": "Post"}
        assert knows([first, second], room, "m.room.create") is not None


async def test_what_is_said_after_a_removal_is_not_told_while_an_older_change_is_copied(
    place: Place,
) -> None:
    held = Held()
    async with world_at(place, wrap=held.wrap) as world:
        ada, boris = await world.person("ada"), await world.person("boris")
        room = await world.room(ada, boris)
        await boris.phone.syncs()
        first_copy, second_copy = (
            OneVisit(Owner.USER, Step.BEGIN, 1),
            OneVisit(Owner.USER, Step.BEGIN, 2),
        )

        async def meet(owner: Owner, step: Step) -> None:
            await first_copy.meet(owner, step)
            await second_copy.meet(owner, step)

        async with asyncio.TaskGroup() as group:
            held.at(meet)
            member = {"membership": "join", "displayname": "B."}
            path = f"{V3}/rooms/{room}/state/m.room.member/{boris.user_id}"
            group.create_task(boris.phone.ask("PUT", path, member))
            await first_copy.reached.wait()
            kick = {"user_id": boris.user_id}
            group.create_task(ada.phone.ask("POST", f"{V3}/rooms/{room}/kick", kick))
            await _until_last_is(world, room, "m.room.member")
            first_copy.opened.set()
            await second_copy.reached.wait()
            answers = [await boris.phone.syncs()]
            await ada.phone.says(room, "secret")
            answers.append(await boris.phone.syncs())
            second_copy.opened.set()
        answers.append(await boris.phone.syncs())

        assert said(answers, room) == []
        member_now = knows(answers, room, "m.room.member", boris.user_id)
        assert member_now is not None
        assert member_now["membership"] == "leave"


async def test_a_join_that_is_not_announced_yet_shows_nothing_from_before_it(place: Place) -> None:
    """The pointer is in the database already, and not yet in the person's token."""
    held = Held()
    async with world_at(place, wrap=held.wrap) as world:
        ada, boris = await world.person("ada"), await world.person("boris")
        joined_only = {
            "type": "m.room.history_visibility",
            "state_key": "",
            "content": {"history_visibility": "joined"},
        }
        room = await world.room(ada, initial_state=[joined_only], name="Post")
        await boris.phone.syncs()
        await world.restart()
        await ada.phone.says(room, "before")
        gate = OneVisit(Owner.USER, Step.COMMITTED)

        async with asyncio.TaskGroup() as group:
            held.at(gate.meet)
            group.create_task(boris.phone.joins(room))
            await gate.reached.wait()
            first = await boris.phone.syncs()
            gate.opened.set()
        second = await boris.phone.syncs()

        assert said([first, second], room) == []
        assert knows([first, second], room, "m.room.name") == {"name": "Post"}


async def test_a_removal_that_is_not_announced_yet_takes_nothing_from_before_it(
    place: Place,
) -> None:
    held = Held()
    async with world_at(place, wrap=held.wrap) as world:
        ada, boris = await world.person("ada"), await world.person("boris")
        room = await world.room(ada, boris)
        await boris.phone.syncs()
        await world.restart()
        await ada.phone.says(room, "before")
        gate = OneVisit(Owner.USER, Step.COMMITTED)

        async with asyncio.TaskGroup() as group:
            held.at(gate.meet)
            kick = {"user_id": boris.user_id}
            group.create_task(ada.phone.ask("POST", f"{V3}/rooms/{room}/kick", kick))
            await gate.reached.wait()
            first = await boris.phone.syncs()
            gate.opened.set()
        second = await boris.phone.syncs()

        assert said([first, second], room) == ["before"]


async def test_a_removal_in_the_middle_of_an_answer_takes_nothing_from_it(place: Place) -> None:
    """One device's sync is reading while another's learns that the person has left."""
    held = Held()
    async with world_at(place, wrap=held.wrap) as world:
        ada, boris = await world.person("ada"), await world.person("boris")
        laptop = await world.another_device(boris)
        room, other = await world.room(ada, boris), await world.room(ada)
        await boris.phone.syncs()
        await boris.phone.joins(other)
        await laptop.syncs()
        await ada.phone.says(room, "before")
        gate = OneVisit(Owner.ROOM, Step.READ)

        async with asyncio.TaskGroup() as group:
            held.at(gate.meet)
            reading = poll(world, group, boris.phone)
            await gate.reached.wait()
            kick = {"user_id": boris.user_id}
            await ada.phone.ask("POST", f"{V3}/rooms/{room}/kick", kick)
            await laptop.syncs()
            gate.opened.set()
            first = await reading.answered()
        second = await boris.phone.syncs()

        assert said([first, second], room) == ["before"]


async def _until_last_is(world: World, room: str, type_: str) -> None:
    """Until the newest event of a room is announced and of a type."""
    memory = world.services.memory
    come = asyncio.Event()

    def heard(stream: int, news: Any) -> None:
        come.set()

    memory.listen(heard)
    while True:
        known = await memory.get(RoomId(room))
        assert known is not None
        entries = memory.tail(known.stream).since(known.key, known.position - 1, known.position)
        if entries and getattr(entries[-1], "type", "") == type_ and _is_leave(entries[-1]):
            return
        come.clear()
        await come.wait()


def _is_leave(entry: Any) -> bool:
    return bool(entry.membership == "leave")


async def _writes(sender: Person, receiver: Person, text: str, device: str = "*") -> None:
    body = {"messages": {receiver.user_id: {device: {"text": text}}}}
    await sender.phone.ask("PUT", f"{V3}/sendToDevice/org.example.letter/{text}", body)


def _letters(answer: dict[str, Any]) -> list[str]:
    return [e["content"]["text"] for e in answer.get("to_device", {}).get("events", [])]
