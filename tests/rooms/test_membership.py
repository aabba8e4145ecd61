"""Coming, going, inviting, removing: who may, and what the second time does."""

import pytest

from tests.rooms.walking import at_room, problems, texts, walk
from tests.world import V3, Device, Json, World


async def membership(device: Device, room: str, user_id: str) -> str:
    """What a member event says of somebody, as one of the room sees it."""
    path = at_room(room, "state", "m.room.member", user_id)
    return str((await device.ask("GET", path))["membership"])


async def own_changes(device: Device, room: str, user_id: str) -> list[str]:
    """Every member event of somebody, in order."""
    return [
        event["content"]["membership"]
        for event in await walk(device, room, "f")
        if event["type"] == "m.room.member" and event["state_key"] == user_id
    ]


async def test_joining_twice_is_joining_once(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada)

    for path in (f"{V3}/join/{room}", at_room(room, "join"), f"{V3}/join/{room}?via=elsewhere"):
        answer = await boris.phone.ask("POST", path, {"reason": "tea"})
        assert answer == {"room_id": room}

    assert await own_changes(ada.phone, room, boris.user_id) == ["join"]
    assert (await boris.phone.ask("GET", f"{V3}/joined_rooms"))["joined_rooms"] == [room]


async def test_a_body_may_be_missing_where_nothing_must_be_said(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada)

    for verb in ("join", "leave", "forget"):
        status, answer = await world.request(
            "POST", at_room(room, verb), b"", token=boris.phone.token
        )
        assert status == 200, answer


async def test_an_alias_names_no_room_yet(world: World) -> None:
    ada = await world.person("ada")

    refused = await ada.phone.refusal("POST", f"{V3}/join/%23tea:localhost", {})
    assert (refused.status, refused.errcode) == (404, "M_NOT_FOUND")
    for wrong in ("tea", "!", "%23tea", "@ada:localhost"):
        refused = await ada.phone.refusal("POST", f"{V3}/join/{wrong}", {})
        assert (refused.status, refused.errcode) == (400, "M_INVALID_PARAM")


async def test_an_invite_opens_the_door_once(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, preset="private_chat")
    shut = await boris.phone.refusal("POST", at_room(room, "join"))
    assert (shut.status, shut.errcode) == (403, "M_FORBIDDEN")

    await ada.phone.invites(room, boris.user_id)
    await ada.phone.invites(room, boris.user_id)
    invite = (await boris.phone.syncs())["rooms"]["invite"][room]["invite_state"]["events"]
    assert "m.room.create" in {event["type"] for event in invite}
    await boris.phone.joins(room)
    await boris.phone.leaves(room)

    shut = await boris.phone.refusal("POST", at_room(room, "join"))
    assert shut.status == 403
    assert await own_changes(ada.phone, room, boris.user_id) == ["invite", "join", "leave"]


@pytest.mark.parametrize(
    ("body", "status", "errcode"),
    [
        ({"user_id": "@nobody:localhost"}, 404, "M_NOT_FOUND"),
        ({"user_id": "@boris:elsewhere.example"}, 403, "M_FORBIDDEN"),
        ({"user_id": "boris"}, 400, "M_INVALID_PARAM"),
        ({"user_id": 5}, 400, "M_BAD_JSON"),
        ({}, 400, "M_MISSING_PARAM"),
        (
            {"id_server": "x", "id_access_token": "y", "medium": "email", "address": "b@x"},
            403,
            "M_THREEPID_DENIED",
        ),
        ({"user_id": "@ada:localhost"}, 403, "M_FORBIDDEN"),
    ],
)
async def test_only_people_of_this_server_can_be_invited(
    world: World, body: Json, status: int, errcode: str
) -> None:
    ada = await world.person("ada")
    room = await world.room(ada)

    refused = await ada.phone.refusal("POST", at_room(room, "invite"), body)

    assert (refused.status, refused.errcode) == (status, errcode)


async def test_somebody_removed_may_come_back_and_somebody_banned_may_not(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris)
    whom = {"user_id": boris.user_id, "reason": "too loud"}

    await ada.phone.ask("POST", at_room(room, "kick"), whom)
    again = await ada.phone.refusal("POST", at_room(room, "kick"), whom)
    assert (again.status, again.errcode) == (403, "M_FORBIDDEN")
    await boris.phone.joins(room)

    await ada.phone.ask("POST", at_room(room, "ban"), whom)
    await ada.phone.ask("POST", at_room(room, "ban"), whom)
    for _ in range(2):
        shut = await boris.phone.refusal("POST", at_room(room, "join"))
        assert (shut.status, shut.errcode) == (403, "M_FORBIDDEN")
        await boris.phone.leaves(room)
    told = await ada.phone.refusal("POST", at_room(room, "invite"), whom)
    assert told.status == 403
    silent = await boris.phone.refusal("PUT", at_room(room, "send", "m.room.message", "x"))
    assert silent.status == 403

    await ada.phone.ask("POST", at_room(room, "unban"), {"user_id": boris.user_id})
    again = await ada.phone.refusal("POST", at_room(room, "unban"), whom)
    assert again.status == 403
    await boris.phone.joins(room)

    assert await own_changes(ada.phone, room, boris.user_id) == [
        "join", "leave", "join", "ban", "leave", "join",
    ]  # fmt: skip
    reasons = [
        event["content"].get("reason")
        for event in await walk(ada.phone, room, "f")
        if event["type"] == "m.room.member" and event["sender"] == ada.user_id
    ]
    assert reasons == [None, "too loud", "too loud", None]
    assert await problems(world) == []


async def test_it_takes_power_over_somebody_to_remove_them(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    clara = await world.person("clara")
    room = await world.room(ada, boris, clara, room_version="11")
    levels = await ada.phone.ask("GET", at_room(room, "state", "m.room.power_levels", ""))

    for verb in ("kick", "ban"):
        refused = await boris.phone.refusal("POST", at_room(room, verb), {"user_id": clara.user_id})
        assert (refused.status, refused.errcode) == (403, "M_FORBIDDEN")
    levels["users"] |= {boris.user_id: 50, clara.user_id: 50}
    await ada.phone.sets(room, "m.room.power_levels", levels)
    refused = await boris.phone.refusal("POST", at_room(room, "kick"), {"user_id": clara.user_id})
    assert refused.status == 403
    levels["users"][clara.user_id] = 0
    await ada.phone.sets(room, "m.room.power_levels", levels)
    await boris.phone.ask("POST", at_room(room, "kick"), {"user_id": clara.user_id})

    assert await membership(ada.phone, room, clara.user_id) == "leave"


@pytest.mark.parametrize("version", ["10", "11", "12"])
async def test_a_restricted_room_is_open_to_who_is_in_the_rooms_it_names(
    world: World, version: str
) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    clara = await world.person("clara")
    club = await world.room(ada, boris)
    room = await world.room(
        ada,
        room_version=version,
        initial_state=[
            {
                "type": "m.room.join_rules",
                "content": {
                    "join_rule": "restricted",
                    "allow": [
                        7,
                        {"type": "m.room_membership"},
                        {"type": "m.room_membership", "room_id": "!nowhere:localhost"},
                        {"type": "m.room_membership", "room_id": club},
                    ],
                },
            }
        ],
    )

    shut = await clara.phone.refusal("POST", at_room(room, "join"))
    assert (shut.status, shut.errcode) == (403, "M_FORBIDDEN")
    await boris.phone.joins(room)

    path = at_room(room, "state", "m.room.member", boris.user_id)
    assert await ada.phone.ask("GET", path) == {
        "membership": "join",
        "join_authorised_via_users_server": ada.user_id,
    }
    await boris.phone.leaves(room)
    await boris.phone.leaves(club)
    shut = await boris.phone.refusal("POST", at_room(room, "join"))
    assert shut.status == 403
    await ada.phone.invites(room, boris.user_id)
    await boris.phone.joins(room)
    assert await problems(world) == []


async def test_an_invite_is_withdrawn_by_a_kick(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, preset="private_chat")
    await ada.phone.invites(room, boris.user_id)
    await boris.phone.syncs()

    await ada.phone.ask("POST", at_room(room, "kick"), {"user_id": boris.user_id})

    answer = await boris.phone.syncs()
    assert list(answer["rooms"]["leave"]) == [room]
    assert texts(answer["rooms"]["leave"][room]["timeline"]["events"]) == []
    shut = await boris.phone.refusal("POST", at_room(room, "join"))
    assert shut.status == 403


async def test_the_names_of_members_are_those_of_their_profiles(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    path = f"{V3}/profile/{boris.user_id}/displayname"
    await boris.phone.ask("PUT", path, {"displayname": "Boris"})
    room = await world.room(ada, boris)

    await boris.phone.ask("PUT", path, {"displayname": "Boris B."})
    await world.services.settled()

    joined = await ada.phone.ask("GET", at_room(room, "joined_members"))
    assert joined == {
        "joined": {ada.user_id: {}, boris.user_id: {"display_name": "Boris B."}},
    }
    assert await own_changes(ada.phone, room, boris.user_id) == ["join", "join"]


async def test_who_closes_their_account_leaves_their_rooms(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris)

    auth = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": "boris"},
        "password": "correct horse battery",
    }
    await boris.phone.ask("POST", f"{V3}/account/deactivate", {"auth": auth})
    await world.services.settled()

    assert await membership(ada.phone, room, boris.user_id) == "leave"
    refused = await ada.phone.refusal("POST", at_room(room, "invite"), {"user_id": boris.user_id})
    assert refused.status == 404


async def test_only_who_is_in_a_room_types_there_and_only_for_themselves(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    clara = await world.person("clara")
    room = await world.room(ada, boris)
    await boris.phone.syncs()

    await ada.phone.ask("PUT", at_room(room, "typing", ada.user_id), {"typing": True})
    answer = await boris.phone.syncs()
    assert answer["rooms"]["join"][room]["ephemeral"]["events"] == [
        {"type": "m.typing", "content": {"user_ids": [ada.user_id]}}
    ]
    body = {"typing": True, "timeout": 1000}
    for device, who in ((ada.phone, boris.user_id), (clara.phone, clara.user_id)):
        refused = await device.refusal("PUT", at_room(room, "typing", who), body)
        assert (refused.status, refused.errcode) == (403, "M_FORBIDDEN")
    await ada.phone.ask("PUT", at_room(room, "typing", ada.user_id), {"typing": False})
    answer = await boris.phone.syncs()
    events = answer["rooms"]["join"][room]["ephemeral"]["events"]
    assert events[0]["content"] == {"user_ids": []}


async def test_who_is_outside_may_knock_and_turn_down_by_setting_their_own_state(
    world: World,
) -> None:
    """As `/knock` and `/leave` would; joining has a verb of its own."""
    ada, boris = await world.person("ada"), await world.person("boris")
    knock_on = [{"type": "m.room.join_rules", "content": {"join_rule": "knock"}}]
    room = await world.room(ada, initial_state=knock_on)
    shut = await world.room(ada, preset="private_chat")

    for place, wish in ((shut, "knock"), (shut, "leave"), (shut, "join"), (room, "join")):
        path = at_room(place, "state", "m.room.member", boris.user_id)
        refused = await boris.phone.refusal("PUT", path, {"membership": wish})
        assert (refused.status, refused.errcode) == (403, "M_FORBIDDEN")
    await boris.phone.sets(room, "m.room.member", {"membership": "knock"}, boris.user_id)
    assert await membership(ada.phone, room, boris.user_id) == "knock"
    await ada.phone.invites(shut, boris.user_id)
    await boris.phone.sets(shut, "m.room.member", {"membership": "leave"}, boris.user_id)
    assert await membership(ada.phone, shut, boris.user_id) == "leave"
