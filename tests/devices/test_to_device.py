"""To-device messages: in order, once, and kept until their device says that it has them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from posthouse.devices import DevicesSettings
from posthouse.devices.errors import MessageTooLarge
from posthouse.devices.to_device import REMEMBERED_MS
from posthouse.matrix import InvalidParam, UserId
from posthouse.std.faults import Unavailable
from posthouse.storage import Database
from posthouse.streams import Write
from tests.devices.office import SERVER, Office, open_office


async def test_messages_arrive_in_the_order_sent(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")

    for n in range(5):
        await ada.sends({boris.user_id: {"PHONE": {"n": n}}}, type_="m.room.encrypted")

    events, _ = await boris.fetches()
    assert events[0] == {"type": "m.room.encrypted", "sender": ada.user_id, "content": {"n": 0}}
    assert [event["content"]["n"] for event in events] == [0, 1, 2, 3, 4]


async def test_each_device_gets_its_own_and_nobody_elses(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    laptop = await office.phone("boris", "LAPTOP")

    await ada.sends({boris.user_id: {"PHONE": {"for": "phone"}, "LAPTOP": {"for": "laptop"}}})

    assert await boris.received() == [{"for": "phone"}]
    assert await laptop.received() == [{"for": "laptop"}]
    assert await ada.received() == []


async def test_a_star_stands_for_every_device_not_named(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    laptop, tablet = await office.phone("boris", "LAPTOP"), await office.phone("boris", "TABLET")

    await ada.sends({boris.user_id: {"*": {"all": 1}, "TABLET": {"own": 1}}})

    assert await boris.received() == [{"all": 1}]
    assert await laptop.received() == [{"all": 1}]
    assert await tablet.received() == [{"own": 1}]


async def test_unknown_devices_and_foreign_people_are_swallowed(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")

    await ada.sends(
        {
            boris.user_id: {"GONE": {"n": 1}, "PHONE": {"n": 2}},
            UserId(f"@nobody:{SERVER}"): {"*": {"n": 3}},
            UserId("@x:other.example"): {"*": {"n": 4}},
        }
    )

    assert await boris.received() == [{"n": 2}]


async def test_a_repeated_transaction_sends_nothing_again(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    laptop = await office.phone("ada", "LAPTOP")

    await ada.sends({boris.user_id: {"PHONE": {"n": 1}}}, txn="one")
    await ada.sends({boris.user_id: {"PHONE": {"n": 1}}}, txn="one")
    await laptop.sends({boris.user_id: {"PHONE": {"n": 2}}}, txn="one")

    assert await boris.received() == [{"n": 1}, {"n": 2}], "the scope is the device"


async def test_a_repeat_after_fetching_sends_nothing_again(office: Office) -> None:
    """The record outlives the messages."""
    ada, boris = await office.phone("ada"), await office.phone("boris")
    await ada.sends({boris.user_id: {"PHONE": {"n": 1}}}, txn="one")
    _, reached = await boris.fetches()
    await office.to_device.acknowledge(boris.user_id, boris.device_id, reached)

    await ada.sends({boris.user_id: {"PHONE": {"n": 1}}}, txn="one")

    assert await boris.received() == []


async def test_a_repeat_serves_only_whom_the_first_did_not(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies between two streams: one was written, the other not."""
    ada = await office.phone("ada")
    people = [await office.phone(f"person{n}") for n in range(6)]
    messages = {person.user_id: {"*": {"n": 1}} for person in people}
    failing = office.streams.stream_of(people[0].user_id)
    assert {office.streams.stream_of(p.user_id) for p in people} - {failing}, "two streams"
    write = office.streams.write

    async def write_or_fail(user_id: UserId, work: Callable[[Write], Awaitable[Any]]) -> Any:
        if office.streams.stream_of(user_id) == failing:
            raise Unavailable("the disk is gone")
        return await write(user_id, work)

    monkeypatch.setattr(office.streams, "write", write_or_fail)
    with pytest.raises(Unavailable):
        await ada.sends(messages, txn="one")
    monkeypatch.undo()
    received = [len(await person.received()) for person in people]
    assert 0 in received
    assert 1 in received

    await ada.sends(messages, txn="one")

    assert [await person.received() for person in people] == [[{"n": 1}]] * len(people)


async def test_a_concurrent_repeat_sends_once(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")

    await asyncio.gather(
        *(ada.sends({boris.user_id: {"*": {"n": 1}}}, txn="one") for _ in range(10))
    )

    assert await boris.received() == [{"n": 1}]


async def test_messages_are_deleted_up_to_the_position_presented(office: Office) -> None:
    """Invariant 3."""
    ada, boris = await office.phone("ada"), await office.phone("boris")
    for n in range(4):
        await ada.sends({boris.user_id: {"PHONE": {"n": n}}})
    events, reached = await boris.fetches(limit=2)
    assert [event["content"]["n"] for event in events] == [0, 1]

    again, _ = await boris.fetches(limit=2)
    assert again == events, "a lost answer is answered again"

    await office.to_device.acknowledge(boris.user_id, boris.device_id, reached)
    await office.to_device.acknowledge(boris.user_id, boris.device_id, reached)

    assert await boris.received() == [{"n": 2}, {"n": 3}]


async def test_one_device_s_acknowledgement_is_not_another_s(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    laptop = await office.phone("boris", "LAPTOP")
    await ada.sends({boris.user_id: {"*": {"n": 1}}})

    head = office.streams.head_of(boris.user_id)
    await office.to_device.acknowledge(boris.user_id, laptop.device_id, head)

    assert await boris.received() == [{"n": 1}]
    assert await laptop.received() == []


async def test_an_answer_reaches_only_as_far_as_it_says(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    for n in range(3):
        await ada.sends({boris.user_id: {"PHONE": {"n": n}}})
    head = office.streams.head_of(boris.user_id)

    first, reached = await boris.fetches(limit=2)
    rest, end = await boris.fetches(reached, limit=2)
    before_last, _ = await boris.fetches(up_to=head - 1)

    assert [event["content"]["n"] for event in first + rest] == [0, 1, 2]
    assert end == head
    assert [event["content"]["n"] for event in before_last] == [0, 1]


async def test_an_answer_is_bounded_in_bytes(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    for n in range(20):
        await ada.sends({boris.user_id: {"PHONE": {"n": n, "x": "x" * 60_000}}})

    events, position = await boris.fetches()
    assert 1 < len(events) < 20
    while len(events) < 20:
        more, position = await boris.fetches(position)
        events += more

    assert [event["content"]["n"] for event in events] == list(range(20))


async def test_a_message_has_a_bound(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")

    with pytest.raises(MessageTooLarge):
        await ada.sends({boris.user_id: {"PHONE": {"x": "x" * 65_536}}})
    with pytest.raises(InvalidParam):
        await ada.sends({boris.user_id: {"PHONE": {}}}, type_="t" * 256)

    assert await boris.received() == []


async def test_a_signed_out_device_loses_what_waited_for_it(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    await ada.sends({boris.user_id: {"PHONE": {"n": 1}}})

    await boris.signs_out()
    await ada.sends({boris.user_id: {"PHONE": {"n": 2}}})
    await office.settles()
    again = await office.signs_in(boris.user_id, boris.device_id)

    assert await again.received() == []


async def test_a_full_queue_drops_what_comes_and_keeps_what_it_has(database: Database) -> None:
    settings = DevicesSettings(pending_max=300, pending_per_sender_max=200)
    async with open_office(database, settings) as office:
        mallory, boris = await office.phone("mallory"), await office.phone("boris")
        ada = await office.phone("ada")
        for n in range(210):
            await mallory.sends({boris.user_id: {"PHONE": {"n": n}}})

        await ada.sends({boris.user_id: {"PHONE": {"from": "ada"}}})

        received = [event["content"] for event in (await boris.fetches(limit=1_000))[0]]
        assert received == [{"n": n} for n in range(200)] + [{"from": "ada"}]

        head = office.streams.head_of(boris.user_id)
        await office.to_device.acknowledge(boris.user_id, boris.device_id, head)
        await mallory.sends({boris.user_id: {"PHONE": {"n": 210}}})
        assert await boris.received() == [{"n": 210}]


async def test_a_transaction_is_remembered_for_two_days(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    await ada.sends({boris.user_id: {"PHONE": {"n": 1}}}, txn="one")

    office.clock.ms += REMEMBERED_MS
    assert await office.to_device.sweep() == 0
    office.clock.ms += 1
    assert await office.to_device.sweep() == 1

    assert await boris.received() == [{"n": 1}]
