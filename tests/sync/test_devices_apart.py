"""Devices of one person: each has its own letters, and one that is signed out hears nothing more."""

import asyncio

import pytest

from posthouse.devices import KeyCounts
from posthouse.matrix import DeviceId, UnknownToken, UserId
from posthouse.storage import Database, Owner
from tests.databases import Place
from tests.faults.database import MetDatabase, OneVisit, Step
from tests.sync.polls import poll, said
from tests.world import V3, Device, Person, World, world_at


async def test_a_token_of_another_device_takes_no_letters_from_this_one(world: World) -> None:
    """A client that copies its store to a second device begins there with the first one's token."""
    ada, boris = await world.person("ada"), await world.person("boris")
    phone, laptop = boris.phone, await world.another_device(boris)
    await _writes(ada, laptop, "for the laptop")
    await phone.syncs()

    first = await laptop.syncs(since=phone.since)
    second = await laptop.syncs()

    assert _letters(first) + _letters(second) == ["for the laptop"]


async def test_a_device_that_is_signed_out_hears_nothing_of_what_comes_then(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    laptop = await world.another_device(boris)
    room = await world.room(ada, boris)
    await boris.phone.syncs()
    await laptop.syncs()

    async with asyncio.TaskGroup() as group:
        stolen = poll(world, group, laptop, timeout=60_000)
        kept = poll(world, group, boris.phone, timeout=60_000)
        await laptop.ask("POST", f"{V3}/logout", {})
        await ada.phone.says(room, "secret")

        with pytest.raises(UnknownToken):
            await stolen.answered()
        answers = [await kept.answered(), await boris.phone.syncs()]
    assert said(answers, room) == ["secret"]


async def _writes(sender: Person, receiver: Device, text: str) -> None:
    body = {"messages": {receiver.user_id: {receiver.device_id: {"text": text}}}}
    await sender.phone.ask("PUT", f"{V3}/sendToDevice/org.example.letter/{text[:3]}", body)


def _letters(answer: dict) -> list[str]:  # type: ignore[type-arg]
    return [e["content"]["text"] for e in answer.get("to_device", {}).get("events", [])]


async def test_counts_that_are_read_in_a_busy_moment_are_read_once(place: Place) -> None:
    """Keys of others come and go all the time; a poll must not read its own again for that."""
    held: list[MetDatabase] = []

    def wrap(inner: Database) -> Database:
        held.append(MetDatabase(inner))
        return held[-1]

    async with world_at(place, wrap=wrap) as world:
        ada, boris = await world.person("ada"), await world.person("boris")
        devices = world.services.devices
        mine = UserId(ada.user_id), DeviceId(ada.phone.device_id)
        known_before_others = await _counts_after(world, held[-1], mine, boris.phone)
        assert known_before_others is not None
        await _publishes_a_key(ada.phone, "A")
        assert devices.cached_key_counts(*mine) is None

        assert await _counts_after(world, held[-1], mine, ada.phone) is None


async def _counts_after(
    world: World, database: MetDatabase, mine: tuple[UserId, DeviceId], busy: Device
) -> KeyCounts | None:
    """What is kept of a reading during which a device publishes a key."""
    gate = OneVisit(Owner.USER, Step.READ)
    database.meet = gate.meet
    async with asyncio.TaskGroup() as group:
        group.create_task(world.services.devices.key_counts(*mine))
        await gate.reached.wait()
        await _publishes_a_key(busy, "B")
        gate.opened.set()
    return world.services.devices.cached_key_counts(*mine)


async def _publishes_a_key(device: Device, name: str) -> None:
    keys = {f"signed_curve25519:{name}": {"key": "k" * 43, "signatures": {}}}
    await device.ask("POST", f"{V3}/keys/upload", {"one_time_keys": keys})
