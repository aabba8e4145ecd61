"""State, members and single events as they are read."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.rooms.test_surroundings import HIDDEN, of
from tests.world import V3, World


async def test_all_state_is_one_event_for_each_key(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris, name="First")
    await ada.phone.sets(room, "m.room.name", {"name": "Second"})

    state: Any = await boris.phone.ask("GET", of(room, "state"))

    keys = [(event["type"], event["state_key"]) for event in state]
    assert len(set(keys)) == len(keys)
    assert ("m.room.create", "") in keys
    assert ("m.room.member", boris.user_id) in keys
    (name,) = [event for event in state if event["type"] == "m.room.name"]
    assert name["content"] == {"name": "Second"}
    assert {event["room_id"] for event in state} == {room}


@pytest.mark.parametrize("version", ["10", "11", "12"])
async def test_a_piece_of_state_as_content_or_event(world: World, version: str) -> None:
    ada = await world.person("ada")
    room = await world.room(ada, room_version=version, name="Garden")
    path = of(room, f"state/{quote('org.example.a/b', safe='')}/{quote('key with /', safe='')}")
    event_id = (await ada.phone.ask("PUT", path, {"a": 1}))["event_id"]

    assert await ada.phone.ask("GET", path) == {"a": 1}
    event = await ada.phone.ask("GET", path, None, format="event")
    assert (event["event_id"], event["state_key"]) == (event_id, "key with /")
    assert event["sender"] == ada.user_id
    for spelling in ("state/m.room.name", "state/m.room.name/"):
        assert await ada.phone.ask("GET", of(room, spelling)) == {"name": "Garden"}
    missing = await ada.phone.refusal("GET", of(room, "state/m.room.topic"))
    assert (missing.status, missing.errcode) == (404, "M_NOT_FOUND")
    assert (await ada.phone.refusal("GET", path, None, format="pdf")).status == 400


async def test_members_are_chosen_by_membership(world: World) -> None:
    ada, boris, cleo, dora = [await world.person(n) for n in ("ada", "boris", "cleo", "dora")]
    room = await world.room(ada, boris)
    await ada.phone.invites(room, cleo.user_id)
    await ada.phone.bans(room, dora.user_id)

    async def members(**query: str) -> set[str]:
        answer = await ada.phone.ask("GET", of(room, "members"), None, **query)
        return {event["state_key"].split(":")[0][1:] for event in answer["chunk"]}

    assert await members() == {"ada", "boris", "cleo", "dora"}
    assert await members(membership="join") == {"ada", "boris"}
    assert await members(not_membership="join") == {"cleo", "dora"}
    assert await members(membership="join", not_membership="ban") == {"ada", "boris", "cleo"}
    assert await members(membership="ban", not_membership="join") == {"cleo", "dora"}
    refused = await ada.phone.refusal("GET", of(room, "members"), None, membership="friend")
    assert (refused.status, refused.errcode) == (400, "M_INVALID_PARAM")


async def test_members_before_ones_own_time_are_those_of_the_beginning(world: World) -> None:
    """Where the history was hidden, an older token shows the room as it was at the own join."""
    ada, boris, cleo = [await world.person(name) for name in ("ada", "boris", "cleo")]
    room = await world.room(ada, cleo, initial_state=[HIDDEN])
    await boris.phone.syncs()
    before = boris.phone.since
    await cleo.phone.leaves(room)
    await boris.phone.joins(room)

    answer = await boris.phone.ask("GET", of(room, "members"), None, at=before)

    standing = {e["state_key"]: e["content"]["membership"] for e in answer["chunk"]}
    assert standing == {ada.user_id: "join", boris.user_id: "join", cleo.user_id: "leave"}


async def test_joined_members_are_names_and_pictures(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    path = f"{V3}/profile/{quote(boris.user_id)}/displayname"
    await boris.phone.ask("PUT", path, {"displayname": "Boris"})
    room = await world.room(ada, boris)

    joined = (await ada.phone.ask("GET", of(room, "joined_members")))["joined"]

    assert joined[boris.user_id] == {"display_name": "Boris"}
    assert joined.keys() == {ada.user_id, boris.user_id}
    await boris.phone.leaves(room)
    joined = (await ada.phone.ask("GET", of(room, "joined_members")))["joined"]
    assert joined.keys() == {ada.user_id}
    assert (await boris.phone.refusal("GET", of(room, "joined_members"))).status == 403


async def test_joined_rooms_are_the_ones_that_one_is_in(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    stays, left = await world.room(ada, boris), await world.room(ada, boris)
    invited = await world.room(ada, preset="private_chat")
    await ada.phone.invites(invited, boris.user_id)
    await boris.phone.leaves(left)

    assert (await boris.phone.ask("GET", f"{V3}/joined_rooms"))["joined_rooms"] == [stays]
    rooms = (await ada.phone.ask("GET", f"{V3}/joined_rooms"))["joined_rooms"]
    assert set(rooms) == {stays, left, invited}


async def test_an_event_is_found_in_its_own_room_only(world: World) -> None:
    ada = await world.person("ada")
    room, other = await world.room(ada), await world.room(ada)
    event_id = await ada.phone.says(room, "here", txn="once")

    event = await ada.phone.ask("GET", of(room, f"event/{quote(event_id)}"))

    assert (event["content"]["body"], event["room_id"]) == ("here", room)
    assert event["unsigned"]["transaction_id"] == "once"
    for path in (of(other, f"event/{quote(event_id)}"), of(room, "event/$nothing")):
        refused = await ada.phone.refusal("GET", path)
        assert (refused.status, refused.errcode) == (404, "M_NOT_FOUND")


@pytest.mark.parametrize("visibility", ["shared", "joined", "invited", "world_readable"])
async def test_state_is_for_who_is_or_was_in_the_room_and_for_all_where_the_world_may_read(
    world: World, visibility: str
) -> None:
    names = ("ada", "stays", "left", "banned", "invited", "declined", "mallory")
    people = {name: (await world.person(name)).phone for name in names}
    ada = people["ada"]
    setting = {"type": "m.room.history_visibility", "content": {"history_visibility": visibility}}
    room = await ada.creates(preset="private_chat", initial_state=[setting])
    for name in ("stays", "left", "banned", "invited", "declined"):
        await ada.invites(room, people[name].user_id)
    for name in ("stays", "left", "banned"):
        await people[name].joins(room)
    await people["left"].leaves(room)
    await people["declined"].leaves(room)
    await ada.bans(room, people["banned"].user_id)

    for name in names:
        is_or_was_there = name in ("ada", "stays", "left", "banned")
        expected = 200 if is_or_was_there or visibility == "world_readable" else 403
        for rest in ("state", "members", "state/m.room.create"):
            path = of(room, rest)
            status, _ = await world.request("GET", path, None, token=people[name].token)
            assert status == expected, (name, rest)
        path = of(room, "joined_members")
        status, _ = await world.request("GET", path, None, token=people[name].token)
        assert status == (200 if name in ("ada", "stays") else 403), name
