"""What goes along with an event: what it replaced, what redacted it, what stands around it."""

import asyncio
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from posthouse.rooms.history import LOOKED_AT_MAX
from tests.world import V3, Device, Json, Person, World

HIDDEN = {
    "type": "m.room.history_visibility",
    "state_key": "",
    "content": {"history_visibility": "joined"},
}
"""History that newcomers don't see."""


def of(room: str, rest: str) -> str:
    """The path of something in a room."""
    return f"{V3}/rooms/{quote(room)}/{rest}"


def texts(events: list[Json]) -> list[str]:
    return [event["content"].get("body", event["type"]) for event in events]


async def test_replaced_content_goes_only_to_who_may_see_it(world: World) -> None:
    """`prev_content` of a change is shown to who saw what was before."""
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, name="Ada's plans", initial_state=[HIDDEN])
    await ada.phone.sets(room, "m.room.name", {"name": "Our plans"})
    await boris.phone.joins(room)

    async def before(device: Device) -> Any:
        path = of(room, "state/m.room.name")
        event = await device.ask("GET", path, None, format="event")
        return event["unsigned"].get("prev_content")

    assert await before(ada.phone) == {"name": "Ada's plans"}
    assert await before(boris.phone) is None
    await ada.phone.sets(room, "m.room.name", {"name": "Plans"})
    assert await before(boris.phone) == {"name": "Our plans"}


async def test_who_left_before_a_redaction_isnt_told_who_redacted(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris)
    event_id = await ada.phone.says(room, "oops")
    await boris.phone.leaves(room)
    await ada.phone.redacts(room, event_id)

    event = await boris.phone.ask("GET", of(room, f"event/{quote(event_id)}"))

    assert event["content"] == {}
    assert "redacted_because" not in event["unsigned"]
    wanted = orjson.dumps({"room": {"include_leave": True}}).decode()
    left = (await boris.phone.syncs(since=None, filter=wanted))["rooms"]["leave"][room]
    (synced,) = [e for e in left["timeline"]["events"] if e["event_id"] == event_id]
    assert synced["content"] == {}
    assert "redacted_because" not in synced["unsigned"]
    own = await ada.phone.ask("GET", of(room, f"event/{quote(event_id)}"))
    assert "redacted_because" in own["unsigned"]


@pytest.mark.parametrize("version", ["10", "11", "12"])
async def test_a_redacted_event_is_empty_and_says_why(world: World, version: str) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris, room_version=version)
    event_id = await ada.phone.says(room, "oops")
    redaction_id = await ada.phone.redacts(room, event_id)

    seen: list[Json] = [await boris.phone.ask("GET", of(room, f"event/{quote(event_id)}"))]
    seen += [
        event
        for event in (await boris.phone.messages(room, dir="b"))["chunk"]
        if event["event_id"] == event_id
    ]

    assert len(seen) == 2
    for event in seen:
        because = event["unsigned"]["redacted_because"]
        assert event["content"] == {}
        assert (because["event_id"], because["type"]) == (redaction_id, "m.room.redaction")
        assert because["redacts"] == event_id


async def test_a_redacted_member_event_keeps_who_is_in_the_room(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    path = f"{V3}/profile/{quote(boris.user_id)}/displayname"
    await boris.phone.ask("PUT", path, {"displayname": "Rude word"})
    room = await world.room(ada, boris)
    member = await ada.phone.ask(
        "GET", of(room, f"state/m.room.member/{quote(boris.user_id)}"), None, format="event"
    )

    await ada.phone.redacts(room, member["event_id"])

    content = await ada.phone.ask("GET", of(room, f"state/m.room.member/{quote(boris.user_id)}"))
    assert content == {"membership": "join"}
    joined = (await ada.phone.ask("GET", of(room, "joined_members")))["joined"]
    assert joined[boris.user_id] == {}
    assert (await boris.phone.messages(room, dir="b"))["chunk"]


async def test_an_event_carries_what_is_the_readers_own(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    laptop = await world.another_device(ada)
    room = await world.room(ada)
    await ada.phone.says(room, "alone", txn="mine")
    await boris.phone.joins(room)
    await ada.phone.says(room, "together", txn="too")

    own = (await ada.phone.messages(room, dir="b", limit=3))["chunk"]
    on_laptop = (await laptop.messages(room, dir="b", limit=3))["chunk"]
    others = (await boris.phone.messages(room, dir="b", limit=3))["chunk"]

    assert [event["unsigned"].get("transaction_id") for event in own] == ["too", None, "mine"]
    assert not any("transaction_id" in e["unsigned"] for e in on_laptop + others)
    assert [event["unsigned"]["membership"] for event in others] == ["join", "join", "leave"]
    assert all(event["room_id"] == room and event["unsigned"]["age"] >= 0 for event in own)


async def test_a_filter_that_takes_all_away_ends_with_empty_pages(world: World) -> None:
    """One page looks at a bounded number of rows; the walk goes on behind them."""
    ada = await world.person("ada")
    room = await world.room(ada)
    first = await ada.phone.sends(room, "org.example.rare", {})
    for _ in range(0, LOOKED_AT_MAX, 50):
        async with asyncio.TaskGroup() as group:
            for _ in range(50):
                group.create_task(ada.phone.says(room, "often"))

    wanted = orjson.dumps({"types": ["org.example.rare"]}).decode()
    page = await ada.phone.messages(room, dir="b", filter=wanted)
    rest = await ada.phone.messages(room, dir="b", filter=wanted, from_=page["end"])

    assert page["chunk"] == []
    assert [event["event_id"] for event in rest["chunk"]] == [first]
    assert "end" not in rest


async def seven(world: World) -> tuple[Person, Person, str, list[str]]:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris)
    said = [await (ada if n % 2 else boris).phone.says(room, f"{n}") for n in range(7)]
    return ada, boris, room, said


async def around(person: Person, room: str, event_id: str, **query: str | int) -> Json:
    return await person.phone.ask("GET", of(room, f"context/{quote(event_id)}"), None, **query)


async def test_the_limit_is_split_over_before_and_after(world: World) -> None:
    ada, _, room, said = await seven(world)

    answer = await around(ada, room, said[3], limit=5)
    alone = await around(ada, room, said[3], limit=0)

    assert answer["event"]["event_id"] == said[3]
    assert texts(answer["events_before"]) == ["2", "1"]
    assert texts(answer["events_after"]) == ["4", "5", "6"]
    assert alone["event"]["event_id"] == said[3]
    assert alone["events_before"] == alone["events_after"] == []


async def test_the_state_is_that_at_the_last_event(world: World) -> None:
    ada, _, room, said = await seven(world)
    await ada.phone.sets(room, "m.room.topic", {"topic": "Later"})
    await ada.phone.says(room, "more")

    answer = await around(ada, room, said[3], limit=2)
    newest = await around(ada, room, said[6], limit=10)

    assert not [e for e in answer["state"] if e["type"] == "m.room.topic"]
    assert [e for e in newest["state"] if e["type"] == "m.room.topic"]


async def test_filters_take_from_what_is_around_and_lazy_members_are_who_wrote(
    world: World,
) -> None:
    ada, boris, room, said = await seven(world)
    cleo = await world.person("cleo")
    await cleo.phone.joins(room)

    def wanted(**filter_: object) -> str:
        return orjson.dumps(filter_).decode()

    of_boris = await around(ada, room, said[3], filter=wanted(senders=[boris.user_id]))
    lazy = await around(ada, room, said[3], limit=3, filter=wanted(lazy_load_members=True))

    assert of_boris["event"]["sender"] == ada.user_id
    assert texts(of_boris["events_after"])[:2] == ["4", "6"]
    members = {e["state_key"] for e in lazy["state"] if e["type"] == "m.room.member"}
    assert members == {ada.user_id, boris.user_id}
    assert "m.room.create" in {e["type"] for e in lazy["state"]}
