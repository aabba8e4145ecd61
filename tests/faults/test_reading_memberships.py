"""What happens while, or because, a sync can't read at once which rooms its person is in."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from posthouse.matrix import UserId
from posthouse.storage import Owner
from tests.databases import Place
from tests.faults.database import Gate, MetDatabase, Step, failing_once
from tests.world import V3, World, world_at


@pytest.fixture
async def met_world(place: Place) -> AsyncIterator[tuple[World, list[MetDatabase]]]:
    """A world and its databases, the one of the newest start last."""
    met: list[MetDatabase] = []

    def wrap(inner: Any) -> Any:
        met.append(MetDatabase(inner))
        return met[-1]

    async with world_at(place, wrap=wrap) as world:
        yield world, met


async def test_a_message_that_comes_while_the_rooms_are_read_is_told(
    met_world: tuple[World, list[MetDatabase]],
) -> None:
    world, met = met_world
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris)
    await world.services.settled()
    await boris.phone.syncs()
    await world.restart()  # nobody is online: the next sync reads
    for person in (ada, boris):
        await person.phone.ask("GET", f"{V3}/account/whoami")
    gate = Gate(Owner.USER, Step.READ)
    met[-1].meet = gate.meet

    async with asyncio.TaskGroup() as group:
        hearing = group.create_task(boris.phone.hears(room))
        await gate.reached.wait()
        await ada.phone.says(room, "meanwhile")
        gate.opened.set()

    assert hearing.result() + await boris.phone.hears(room) == ["meanwhile"]


async def test_a_reading_of_memberships_that_fails_is_done_again(
    met_world: tuple[World, list[MetDatabase]],
) -> None:
    world, met = met_world
    ada, boris = await world.person("ada"), await world.person("boris")
    await world.room(ada, boris)
    await boris.phone.syncs()
    await boris.phone.syncs()
    room = await world.room(ada, boris)
    await world.services.settled()
    home = world.services.sync._homes[UserId(boris.user_id)]
    assert home.loaded
    assert home.stale

    met[-1].meet = failing_once(Owner.USER, Step.READ)
    assert (
        await boris.phone.refusal("GET", f"{V3}/sync", None, since=boris.phone.since)
    ).status == 503
    await boris.phone.syncs()
    await ada.phone.says(room, "welcome")

    assert await boris.phone.hears(room) == ["welcome"]


async def test_two_devices_that_ask_at_once_both_hear_of_a_new_room(
    met_world: tuple[World, list[MetDatabase]],
) -> None:
    """The second one must not go on with what the first one is about to read anew."""
    world, met = met_world
    ada, boris = await world.person("ada"), await world.person("boris")
    await world.room(ada, boris)
    laptop = await world.another_device(boris)
    for device in (boris.phone, laptop, boris.phone, laptop):
        await device.syncs()
    room = await world.room(ada, boris)
    await world.services.settled()
    gate = Gate(Owner.USER, Step.READ)
    met[-1].meet = gate.meet

    async with asyncio.TaskGroup() as group:
        first = group.create_task(boris.phone.syncs())
        await gate.reached.wait()
        second = group.create_task(laptop.syncs())
        await ada.phone.says(room, "welcome")
        gate.opened.set()

    for device, answer in ((boris.phone, first.result()), (laptop, second.result())):
        told = [answer, await device.syncs()]
        assert [room in one.get("rooms", {}).get("join", {}) for one in told].count(True) >= 1
        texts = [e["content"].get("body") for one in told for e in device.timeline(one, room)]
        assert texts.count("welcome") == 1
