"""Knocking at rooms, and people who want no invitations."""

from urllib.parse import quote

import pytest

from tests.rooms.test_membership import membership, own_changes
from tests.rooms.walking import at_room
from tests.world import V3, Person, World

CONFIG = "m.invite_permission_config"


def at_door(room: str) -> str:
    return f"{V3}/knock/{quote(room)}"


async def room_with_a_door(owner: Person, rule: str = "knock", **wish: object) -> str:
    return await owner.phone.creates(
        name="Tea",
        initial_state=[{"type": "m.room.join_rules", "content": {"join_rule": rule}}],
        **wish,
    )


@pytest.mark.parametrize("rule", ["knock", "knock_restricted"])
async def test_a_knock_is_heard_and_answered_by_an_invite(world: World, rule: str) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await room_with_a_door(ada, rule, room_alias_name="tea")
    await ada.phone.syncs()

    answer = await boris.phone.ask("POST", at_door("#tea:localhost"), {"reason": "thirsty"})

    assert answer == {"room_id": room}
    seen = (await boris.phone.syncs())["rooms"]["knock"][room]["knock_state"]["events"]
    told = {event["type"]: event["content"] for event in seen}
    assert told["m.room.name"] == {"name": "Tea"}
    assert told["m.room.member"]["reason"] == "thirsty"
    [knock] = [
        event
        for event in ada.phone.timeline(await ada.phone.syncs(), room)
        if event["type"] == "m.room.member"
    ]
    assert knock["content"]["membership"] == "knock"
    assert (await boris.phone.refusal("POST", at_room(room, "join"))).status == 403

    await ada.phone.invites(room, boris.user_id)
    assert room in (await boris.phone.syncs())["rooms"]["invite"]
    await boris.phone.joins(room)
    assert await own_changes(ada.phone, room, boris.user_id) == ["knock", "invite", "join"]


async def test_a_knock_is_taken_back_or_declined(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await room_with_a_door(ada)

    await boris.phone.ask("POST", at_door(room), {})
    await boris.phone.leaves(room)
    assert await membership(ada.phone, room, boris.user_id) == "leave"
    await boris.phone.ask("POST", at_door(room), {})
    await boris.phone.ask("POST", at_door(room), {})
    await ada.phone.ask("POST", at_room(room, "kick"), {"user_id": boris.user_id})

    changes = await own_changes(ada.phone, room, boris.user_id)
    assert changes == ["knock", "leave", "knock", "leave"]


async def test_a_door_that_takes_no_knock_is_as_no_door(world: World) -> None:
    ada, mallory = await world.person("ada"), await world.person("mallory")
    private = await ada.phone.creates()

    shut = await mallory.phone.refusal("POST", at_door(private), {})
    nothing = await mallory.phone.refusal("POST", at_door("!" + "a" * 43), {})
    assert (shut.status, shut.errcode) == (403, "M_FORBIDDEN")
    assert shut.body == nothing.body
    assert (await mallory.phone.refusal("POST", at_door("#no:localhost"), {})).status == 404
    assert (await mallory.phone.refusal("POST", at_door("no"), {})).status == 400

    room = await room_with_a_door(ada)
    inside = await ada.phone.refusal("POST", at_door(room), {})
    assert (inside.status, inside.errcode) == (403, "M_FORBIDDEN")
    await ada.phone.bans(room, mallory.user_id)
    assert (await mallory.phone.refusal("POST", at_door(room), {})).status == 403


async def test_who_is_in_a_named_room_needs_no_knock(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    club = await world.room(ada, boris)
    rule = {
        "join_rule": "knock_restricted",
        "allow": [{"type": "m.room_membership", "room_id": club}],
    }
    room = await ada.phone.creates(initial_state=[{"type": "m.room.join_rules", "content": rule}])
    carl = await world.person("carl")

    await boris.phone.ask("POST", at_door(room), {})
    await boris.phone.joins(room)
    assert (await carl.phone.refusal("POST", at_room(room, "join"))).status == 403
    await carl.phone.ask("POST", at_door(room), {})

    assert await membership(ada.phone, room, boris.user_id) == "join"
    assert await membership(ada.phone, room, carl.user_id) == "knock"


async def test_who_wants_no_invitations_gets_none(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    config = f"{V3}/user/{boris.user_id}/account_data/{CONFIG}"
    room, earlier = await ada.phone.creates(), await ada.phone.creates()
    await ada.phone.invites(earlier, boris.user_id)

    await boris.phone.ask("PUT", config, {"default_action": "block"})

    invite = {"membership": "invite"}
    for method, path, body in (
        ("POST", at_room(room, "invite"), {"user_id": boris.user_id}),
        ("POST", f"{V3}/createRoom", {"invite": [boris.user_id]}),
        ("PUT", at_room(room, "state", "m.room.member", boris.user_id), invite),
    ):
        refused = await ada.phone.refusal(method, path, body)
        assert (refused.status, refused.errcode) == (403, "M_INVITE_BLOCKED")
    assert "invite" not in (await boris.phone.syncs()).get("rooms", {})
    assert await membership(ada.phone, earlier, boris.user_id) == "invite"

    for said in ({}, {"default_action": "allow"}, {"default_action": ["block"]}):
        await boris.phone.ask("PUT", config, said)
        other = await ada.phone.creates(invite=[boris.user_id])
        assert other in (await boris.phone.syncs())["rooms"]["invite"]
    assert earlier in (await boris.phone.syncs(since=None))["rooms"]["invite"]
