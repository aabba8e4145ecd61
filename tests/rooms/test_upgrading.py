"""Replacing a room: what goes over to the new one, who may, and what becomes of the old."""

from typing import Any

import pytest

from tests.directory.test_aliases import at_alias
from tests.rooms.walking import at_room, problems
from tests.world import V3, Device, Json, World


async def state_of(device: Device, room: str) -> dict[tuple[str, str], Json]:
    path = at_room(room, "state")
    events: Any = await device.ask("GET", path)
    return {(event["type"], event["state_key"]): event["content"] for event in events}


async def upgraded(device: Device, room: str, version: str = "12", **more: Any) -> str:
    body = {"new_version": version, **more}
    return str((await device.ask("POST", at_room(room, "upgrade"), body))["replacement_room"])


@pytest.mark.parametrize(
    ("before", "after"), [("10", "11"), ("10", "12"), ("11", "12"), ("12", "12"), ("12", "11")]
)
async def test_a_room_goes_over_whole(world: World, before: str, after: str) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    mallory = await world.person("mallory")
    acl = {"allow": ["*"]}
    room = await world.room(
        ada,
        boris,
        room_version=before,
        name="Tea",
        topic="Which?",
        room_alias_name="tea",
        visibility="public",
        creation_content={"m.federate": False},
        initial_state=[
            {"type": "m.room.history_visibility", "content": {"history_visibility": "joined"}},
            {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}},
            {"type": "m.room.server_acl", "content": acl},
            {"type": "org.example.secret", "content": {"of": "ada"}},
        ],
    )
    await ada.phone.bans(room, mallory.user_id)
    old = await state_of(ada.phone, room)

    new = await upgraded(ada.phone, room, after)

    state = await state_of(ada.phone, new)
    create = state["m.room.create", ""]
    assert create["room_version"] == after
    assert create["predecessor"]["room_id"] == room
    assert ("event_id" in create["predecessor"]) == (after != "12")
    assert create["m.federate"] is False
    for type_ in (
        "m.room.name",
        "m.room.topic",
        "m.room.join_rules",
        "m.room.history_visibility",
        "m.room.guest_access",
        "m.room.encryption",
        "m.room.server_acl",
        "m.room.canonical_alias",
    ):
        assert state[type_, ""] == old[type_, ""], type_
    assert state["m.room.member", mallory.user_id]["membership"] == "ban"
    assert ("m.room.member", boris.user_id) not in state
    assert ("org.example.secret", "") not in state
    assert (await mallory.phone.refusal("POST", at_room(new, "join"))).status == 403

    now = await state_of(ada.phone, room)
    assert now["m.room.tombstone", ""]["replacement_room"] == new
    refused = await boris.phone.refusal(
        "PUT", at_room(room, "send", "m.room.message", "late"), {"body": "x", "msgtype": "m.text"}
    )
    assert refused.status == 403
    _, found = await world.request("GET", at_alias("#tea:localhost"))
    assert found["room_id"] == new
    await world.services.settled()
    _, listed = await world.request("GET", f"{V3}/publicRooms")
    assert [entry["room_id"] for entry in listed["chunk"]] == [new]
    await boris.phone.joins(new)
    await boris.phone.says(new, "here")
    assert await problems(world) == []


async def test_people_keep_their_power(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    carl = await world.person("carl")
    room = await world.room(ada, boris, carl, room_version="11")
    levels = (await state_of(ada.phone, room))["m.room.power_levels", ""]
    levels["users"] |= {boris.user_id: 100, carl.user_id: 50}
    levels["events"]["m.room.topic"] = 75
    await ada.phone.sets(room, "m.room.power_levels", levels)

    new = await upgraded(ada.phone, room, "12", additional_creators=[boris.user_id, ada.user_id])

    state = await state_of(ada.phone, new)
    assert state["m.room.create", ""]["additional_creators"] == [boris.user_id]
    given = state["m.room.power_levels", ""]
    assert given["users"] == {carl.user_id: 50}
    assert given["events"]["m.room.topic"] == 75
    assert given["events"]["m.room.tombstone"] > given["state_default"]

    newest = await upgraded(ada.phone, new, "11", additional_creators=[boris.user_id])
    state = await state_of(ada.phone, newest)
    assert "additional_creators" not in state["m.room.create", ""]
    assert state["m.room.power_levels", ""]["users"] == {carl.user_id: 50, ada.user_id: 100}


async def test_a_moderator_with_little_power_upgrades_whole(world: World) -> None:
    """Who may just replace the room still carries over what they couldn't set in it."""
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris, room_version="11", name="Tea")
    levels = (await state_of(ada.phone, room))["m.room.power_levels", ""]
    levels["users"][boris.user_id] = 30
    levels["events"] |= {"m.room.tombstone": 30, "m.room.name": 100}
    await ada.phone.sets(room, "m.room.power_levels", levels)

    new = await upgraded(boris.phone, room, "11")

    state = await state_of(boris.phone, new)
    assert state["m.room.name", ""] == {"name": "Tea"}
    assert state["m.room.power_levels", ""]["users"] == {ada.user_id: 100, boris.user_id: 30}
    assert "m.room.tombstone" in {type_ for type_, _ in await state_of(ada.phone, room)}


async def test_a_space_takes_its_children_along(world: World) -> None:
    ada = await world.person("ada")
    space = await ada.phone.creates(creation_content={"type": "m.space"})
    child = {"via": ["localhost"], "order": "a"}
    await ada.phone.sets(space, "m.space.child", child, "!one:localhost")
    await ada.phone.sets(space, "m.space.child", {}, "!gone:localhost")

    state = await state_of(ada.phone, await upgraded(ada.phone, space))

    assert state["m.room.create", ""]["type"] == "m.space"
    assert {key: said for (type_, key), said in state.items() if type_ == "m.space.child"} == {
        "!one:localhost": child
    }


async def test_who_may_not_replace_a_room_does_not(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    mallory = await world.person("mallory")
    room = await world.room(ada, boris)

    for person in (boris, mallory):
        refused = await person.phone.refusal(
            "POST", at_room(room, "upgrade"), {"new_version": "12"}
        )
        assert (refused.status, refused.errcode) == (403, "M_FORBIDDEN")
        assert len((await person.phone.ask("GET", f"{V3}/joined_rooms"))["joined_rooms"]) < 2
    for body, errcode in (
        ({"new_version": "1"}, "M_UNSUPPORTED_ROOM_VERSION"),
        ({}, "M_BAD_JSON"),
        ({"new_version": "12", "additional_creators": ["boris"]}, "M_BAD_JSON"),
    ):
        refused = await ada.phone.refusal("POST", at_room(room, "upgrade"), body)
        assert (refused.status, refused.errcode) == (400, errcode)
    assert ("m.room.tombstone", "") not in await state_of(ada.phone, room)


async def test_asking_again_gives_the_room_that_there_is(world: World) -> None:
    ada = await world.person("ada")
    room = await world.room(ada, room_version="11")

    new = await upgraded(ada.phone, room)

    assert await upgraded(ada.phone, room) == new
    assert await upgraded(ada.phone, room, "11") != new


async def test_whoever_follows_finds_their_settings(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris)
    tags = {"tags": {"m.favourite": {"order": 0.5}}}
    people = {ada.user_id: [room, "!other:localhost"], "@x:localhost": ["!third:localhost"]}
    for person in (ada, boris):
        mine = f"{V3}/user/{person.user_id}"
        await person.phone.ask("PUT", f"{mine}/account_data/m.direct", people)
        await person.phone.ask("PUT", f"{mine}/rooms/{room}/account_data/m.tag", tags)

    new = await upgraded(ada.phone, room)
    await boris.phone.joins(new)

    for person in (ada, boris):
        mine = f"{V3}/user/{person.user_id}"
        assert await person.phone.ask("GET", f"{mine}/rooms/{new}/account_data/m.tag") == tags
        assert await person.phone.ask("GET", f"{mine}/account_data/m.direct") == {
            **people,
            ada.user_id: [room, "!other:localhost", new],
        }


async def test_a_room_that_merely_claims_to_replace_one_gets_nothing(world: World) -> None:
    ada, mallory = await world.person("ada"), await world.person("mallory")
    room = await world.room(ada, mallory)
    mine = f"{V3}/user/{ada.user_id}"
    tags: Json = {"tags": {"m.favourite": {}}}
    await ada.phone.ask("PUT", f"{mine}/rooms/{room}/account_data/m.tag", tags)

    claimed = {"predecessor": {"room_id": room}}
    false = await world.room(mallory, ada, creation_content=claimed)

    path = f"{mine}/rooms/{false}/account_data/m.tag"
    assert (await ada.phone.refusal("GET", path)).status == 404


async def test_an_upgrade_that_was_cut_short_is_finished_when_asked_again(world: World) -> None:
    """The tombstone stands; names, listing and levels follow with the second request."""
    ada = await world.person("ada")
    room = await world.room(ada, room_alias_name="tea", visibility="public")
    new = await ada.phone.creates(
        preset="public_chat", creation_content={"predecessor": {"room_id": room}}
    )
    await ada.phone.sets(room, "m.room.tombstone", {"body": "", "replacement_room": new})

    assert await upgraded(ada.phone, room) == new

    _, found = await world.request("GET", at_alias("#tea:localhost"))
    assert found["room_id"] == new
    levels = (await state_of(ada.phone, room))["m.room.power_levels", ""]
    assert (levels["events_default"], levels["invite"]) == (50, 50)
