"""What is kept in memory has bounds, and whoever relies on it doesn't notice them."""

import asyncio
from typing import Any

import pytest

from posthouse.matrix import RoomId, UserId
from posthouse.rooms import memory, room, transactions
from posthouse.storage import Owner
from tests.databases import Place
from tests.faults.database import Gate, MetDatabase, Step
from tests.world import V3, world_at


async def test_who_comes_online_hears_of_each_room_however_few_are_kept(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Letting go of rooms to make place for the person's others must not take the person's own."""
    monkeypatch.setattr(memory, "ROOMS_MAX", 10)
    async with world_at(place) as world:
        ada, boris = await world.person("ada"), await world.person("boris")
        mine = await world.room(ada, boris)
        other = await world.room(ada, boris)
        crowd = [await world.room(ada) for _ in range(9)]
        await world.restart()
        for name in (mine, *crowd):
            await ada.phone.says(name, "hello")

        await boris.phone.syncs()
        await ada.phone.says(mine, "news")
        await ada.phone.says(other, "more news")

        assert await boris.phone.hears(mine) == ["news"]
        await ada.phone.says(other, "even more")
        assert await boris.phone.hears(other) == ["even more"]


async def test_rooms_that_are_made_here_count_as_kept_rooms(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "ROOMS_MAX", 10)
    async with world_at(place) as world:
        ada = await world.person("ada")
        for _ in range(25):
            await ada.phone.creates()

        assert world.services.memory.rooms_kept <= 10


async def test_a_device_note_on_its_way_keeps_its_room(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory lets go of rooms while a note commits; who comes online then hears of the note."""
    monkeypatch.setattr(memory, "ROOMS_MAX", 10)
    held: list[MetDatabase] = []

    def wrap(inner: Any) -> MetDatabase:
        held.append(MetDatabase(inner))
        return held[-1]

    async with world_at(place, wrap=wrap) as world:
        ada, boris = await world.person("ada"), await world.person("boris")
        encryption = {
            "type": "m.room.encryption",
            "state_key": "",
            "content": {"algorithm": "m.megolm.v1.aes-sha2"},
        }
        await world.room(ada, boris, initial_state=[encryption])
        crowd = [await world.room(ada) for _ in range(15)]
        await boris.phone.syncs()
        await world.restart()
        gate = Gate(Owner.ROOM, Step.BEGIN)

        async with asyncio.TaskGroup() as group:
            held[-1].meet = gate.meet
            group.create_task(_publishes_keys(ada.phone))
            await gate.reached.wait()
            for name in crowd:
                await world.services.memory.get(RoomId(name))
            first = await boris.phone.syncs()
            gate.opened.set()
        await world.services.settled()
        second = await boris.phone.syncs()

        changed = [a.get("device_lists", {}).get("changed", []) for a in (first, second)]
        assert [ada.user_id] in changed


async def test_who_hangs_up_while_a_room_is_read_takes_nobody_along(place: Place) -> None:
    held: list[MetDatabase] = []

    def wrap(inner: Any) -> MetDatabase:
        held.append(MetDatabase(inner))
        return held[-1]

    async with world_at(place, wrap=wrap) as world:
        ada = await world.person("ada")
        name = RoomId(await world.room(ada))
        await world.restart()
        gate = Gate(Owner.ROOM, Step.READ)
        held[-1].meet = gate.meet

        async with asyncio.TaskGroup() as group:
            first = group.create_task(world.services.memory.get(name))
            await gate.reached.wait()
            second = group.create_task(world.services.memory.get(name))
            await asyncio.sleep(0)
            first.cancel()
            gate.opened.set()
            found = await second

        assert found is not None
        assert found.room_id == name


async def test_the_state_of_a_room_is_never_held_whole(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members and notes of any number: memory keeps some, and what it forgot is read again."""
    monkeypatch.setattr(room, "STATE_KEYS_MAX", 24)
    async with world_at(place) as world:
        ada, boris = await world.person("ada"), await world.person("boris")
        name = await world.room(ada, boris)
        for number in range(60):
            await ada.phone.sets(name, "org.example.note", {"n": number}, str(number))

        kept = await world.services.memory.get(RoomId(name))
        assert kept is not None
        assert len(kept.state) <= 24
        await boris.phone.says(name, "hello")
        await boris.phone.syncs()
        await _publishes_keys(ada.phone)
        await world.services.settled()
        answer = await boris.phone.syncs()
        assert "device_lists" not in answer, "the room isn't encrypted"
        first = await ada.phone.ask("GET", f"{V3}/rooms/{name}/state/org.example.note/0")
        assert first == {"n": 0}


async def test_a_repeat_is_known_however_much_was_sent_since(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than memory keeps: what it lets go of is in the index by then."""
    monkeypatch.setattr(transactions, "KEPT_MAX", 40)
    async with world_at(place) as world:
        ada = await world.person("ada")
        name = await world.room(ada)
        sent = {f"txn{n}": await ada.phone.says(name, f"{n}", txn=f"txn{n}") for n in range(150)}

        again = {txn: await ada.phone.says(name, "again", txn=txn) for txn in sent}

        assert again == sent


async def test_a_name_that_is_carried_into_a_room_brings_nobody_back(place: Place) -> None:
    """Whoever leaves while their new name is on its way has left."""
    held: list[MetDatabase] = []

    def wrap(inner: Any) -> MetDatabase:
        held.append(MetDatabase(inner))
        return held[-1]

    async with world_at(place, wrap=wrap) as world:
        ada, boris = await world.person("ada"), await world.person("boris")
        name = await world.room(ada, boris)
        rooms, user_id = world.services.rooms, UserId(boris.user_id)
        gate = Gate(Owner.USER, Step.READ)
        held[-1].meet = gate.meet

        async with asyncio.TaskGroup() as group:
            group.create_task(rooms.copy_profile(user_id, RoomId(name)))
            await gate.reached.wait()
            await rooms.leave(user_id, RoomId(name))
            gate.opened.set()

        standing = await ada.phone.ask("GET", f"{V3}/rooms/{name}/state/m.room.member/{user_id}")
        assert standing["membership"] == "leave"


async def _publishes_keys(device: Any) -> None:
    keys = {
        "user_id": device.user_id,
        "device_id": device.device_id,
        "algorithms": ["m.megolm.v1.aes-sha2"],
        "keys": {f"ed25519:{device.device_id}": "a" * 43},
        "signatures": {device.user_id: {f"ed25519:{device.device_id}": "b" * 86}},
    }
    await device.ask("POST", f"{V3}/keys/upload", {"device_keys": keys})
