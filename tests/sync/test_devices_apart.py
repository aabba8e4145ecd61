"""Devices of one person: each has its own letters, and one that is signed out hears nothing more."""

import asyncio

import pytest

from posthouse.matrix import UnknownToken
from tests.sync.polls import poll, said
from tests.world import V3, Device, Person, World


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
