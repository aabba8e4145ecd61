"""What an answer of `/v3/sync` says and leaves out, as the specification's text has it."""

from typing import Any
from urllib.parse import quote

import orjson
import pytest

from tests.world import V3, Device, Json, World


async def about(device: Device, room: str, **query: Any) -> Json:
    """A sync's part about a joined room."""
    found: Json = (await device.syncs(**query))["rooms"]["join"][room]
    return found


def filtered(**parts: Any) -> str:
    return orjson.dumps(parts).decode()


async def note(device: Device, room: str, type_: str) -> None:
    path = f"{V3}/user/{device.user_id}/rooms/{quote(room)}/account_data/{type_}"
    await device.ask("PUT", path, {"a": 1})


async def test_a_room_just_joined_brings_what_was_noted_of_it_before(world: World) -> None:
    """Tags and the like from an earlier stay: the client threw them away when it left."""
    ada, boris = await world.person("ada"), await world.person("boris")
    room, other = await world.room(ada, boris), await world.room(ada, boris)
    await note(boris.phone, room, "org.example")
    await note(boris.phone, other, "org.example")
    await boris.phone.leaves(room)
    await boris.phone.syncs()

    await boris.phone.joins(room)
    answer = await boris.phone.syncs()

    assert [*answer["rooms"]["join"]] == [room]
    notes = answer["rooms"]["join"][room]["account_data"]["events"]
    assert notes == [{"type": "org.example", "content": {"a": 1}}]


async def test_nothing_new_is_said_in_few_words(world: World) -> None:
    """Without a timeout at once, and with the token that was presented."""
    ada = await world.person("ada")
    await world.room(ada)
    first = await ada.phone.syncs()

    second = await ada.phone.syncs()

    assert second == {
        "next_batch": first["next_batch"],
        "device_one_time_keys_count": first["device_one_time_keys_count"],
        "device_unused_fallback_key_types": [],
    }


async def test_whose_devices_changed_is_told_when_some_did(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris)
    await ada.phone.sets(room, "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
    assert "device_lists" not in await ada.phone.syncs()

    await ada.phone.says(room, "hello")
    assert "device_lists" not in await ada.phone.syncs()
    await boris.phone.leaves(room)
    assert (await ada.phone.syncs())["device_lists"] == {"changed": [], "left": [boris.user_id]}


@pytest.mark.parametrize("named", [False, True])
async def test_heroes_stand_for_a_name_and_come_with_their_member_events(
    world: World, named: bool
) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris, **({"name": "Tea"} if named else {}))
    lazily = filtered(room={"state": {"lazy_load_members": True}, "timeline": {"limit": 1}})
    await ada.phone.says(room, "hello")

    first = await about(ada.phone, room, filter=lazily)

    members = [e["state_key"] for e in first["state"]["events"] if e["type"] == "m.room.member"]
    assert first["summary"]["m.joined_member_count"] == 2
    assert first["summary"].get("m.heroes") == (None if named else [boris.user_id])
    assert sorted(members) == sorted([ada.user_id] if named else [ada.user_id, boris.user_id])
    for text in ("one", "two", "three"):
        await boris.phone.says(room, text)
    gap = await about(ada.phone, room, filter=lazily)
    assert gap["timeline"]["limited"]
    assert gap["summary"].get("m.heroes") == (None if named else [boris.user_id])


async def test_a_name_taken_away_brings_the_heroes(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris, name="Tea")
    lazily = filtered(room={"state": {"lazy_load_members": True}})
    assert "m.heroes" not in (await about(ada.phone, room, filter=lazily))["summary"]

    await ada.phone.sets(room, "m.room.name", {})

    changed = await about(ada.phone, room, filter=lazily)
    assert changed["summary"]["m.heroes"] == [boris.user_id]


@pytest.mark.parametrize("part", ["timeline", "state", "ephemeral", "account_data"])
async def test_a_part_of_the_answer_may_be_wanted_of_some_rooms_only(
    world: World, part: str
) -> None:
    """`rooms` and `not_rooms` of each filter within `room`, live and from storage."""
    ada, boris = await world.person("ada"), await world.person("boris")
    loud, silent = await world.room(ada, boris), await world.room(ada, boris)
    wanted = filtered(room={part: {"not_rooms": [silent]}})

    await boris.phone.syncs(filter=wanted)
    for full in ("false", "true"):
        for room in (loud, silent):
            await ada.phone.sets(room, "m.room.topic", {"topic": full})
            typing = f"{V3}/rooms/{quote(room)}/typing/{ada.user_id}"
            await ada.phone.ask("PUT", typing, {"typing": False})
            await ada.phone.ask("PUT", typing, {"typing": True})
            await note(boris.phone, room, "org.example")
        answer = await boris.phone.syncs(filter=wanted, full_state=full)
        rooms = answer["rooms"]["join"]
        if (part, full) != ("state", "false"):  # the timeline says it then
            assert rooms[loud][part]["events"]
        assert not rooms.get(silent, {}).get(part, {}).get("events")

    await ada.phone.says(loud, "hello")
    await ada.phone.says(silent, "hello")
    live = (await boris.phone.syncs(filter=wanted))["rooms"]["join"]
    assert live[loud]["timeline"]["events"]
    assert (live.get(silent, {}).get("timeline", {}).get("events", []) == []) is (
        part == "timeline"
    )


@pytest.mark.parametrize(
    ("wanted", "status"), [("{", 400), ('{"room":1}', 400), ("{}x", 400), ("none", 404)]
)
async def test_a_filter_that_is_none_is_refused(world: World, wanted: str, status: int) -> None:
    ada = await world.person("ada")

    refused = await ada.phone.refusal("GET", f"{V3}/sync", filter=wanted)

    assert refused.status == status


@pytest.mark.parametrize("query", [{"timeout": "soon"}, {"since": "yesterday"}])
async def test_a_query_that_means_nothing_is_refused(world: World, query: dict[str, str]) -> None:
    ada = await world.person("ada")

    refused = await ada.phone.refusal("GET", f"{V3}/sync", None, **query)

    assert (refused.status, refused.errcode) == (400, "M_INVALID_PARAM")
