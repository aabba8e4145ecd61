"""What one may know of a room without being in it."""

from urllib.parse import quote

import pytest

from tests.rooms.walking import at_room
from tests.world import V3, Device, Json, Person, World

V1 = "/_matrix/client/v1"
UNSTABLE = "/_matrix/client/unstable/im.nheko.summary"


def at_summary(room: str) -> str:
    return f"{V1}/room_summary/{quote(room, safe='')}"


async def knows(device: Device, room: str) -> bool:
    """Whether a summary is told; where not, it is as of no room."""
    status, answer = await device.world.request("GET", at_summary(room), token=device.token)
    if status == 200:
        return True
    nowhere = await device.refusal("GET", at_summary("!" + "a" * 43))
    assert (status, answer) == (nowhere.status, nowhere.body)
    return False


async def is_known_to_all(world: World, room: str) -> bool:
    """The same for somebody who isn't signed in."""
    status, answer = await world.request("GET", at_summary(room))
    assert status == 200 or (status, answer["errcode"]) == (404, "M_NOT_FOUND")
    return status == 200


async def test_a_summary_says_what_a_room_is(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    encryption = {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
    room = await ada.phone.creates(
        preset="public_chat",
        name="Tea",
        topic="Which?",
        room_alias_name="tea",
        creation_content={"type": "m.space"},
        initial_state=[encryption],
    )
    expected = {
        "room_id": room,
        "name": "Tea",
        "topic": "Which?",
        "canonical_alias": "#tea:localhost",
        "num_joined_members": 1,
        "world_readable": False,
        "guest_can_join": False,
        "join_rule": "public",
        "room_type": "m.space",
        "room_version": "12",
        "encryption": "m.megolm.v1.aes-sha2",
    }

    for name in (room, "#tea:localhost"):
        assert (await world.request("GET", at_summary(name), via="elsewhere"))[1] == expected
        for person, membership in ((ada, "join"), (boris, "leave")):
            told = await person.phone.ask("GET", at_summary(name))
            assert told == {**expected, "membership": membership}


async def test_the_older_spellings_have_the_older_names(world: World) -> None:
    ada = await world.person("ada")
    room = await world.room(ada)

    for path in (f"{UNSTABLE}/summary/{room}", f"{UNSTABLE}/rooms/{room}/summary"):
        told = await ada.phone.ask("GET", path)
        assert told["im.nheko.summary.room_version"] == "12"
        assert "room_version" not in told
        assert told["membership"] == "join"


@pytest.mark.parametrize(
    ("rule", "visibility", "is_known"),
    [
        ("public", "joined", True),
        ("knock", "shared", True),
        ("knock_restricted", "shared", True),
        ("invite", "world_readable", True),
        ("invite", "shared", False),
        ("private", "shared", False),
        ("restricted", "shared", False),
    ],
)
async def test_strangers_know_a_room_that_they_may_enter_knock_at_or_read(
    world: World, rule: str, visibility: str, is_known: bool
) -> None:
    ada, mallory = await world.person("ada"), await world.person("mallory")
    room = await ada.phone.creates(name="Tea")
    await ada.phone.sets(room, "m.room.join_rules", {"join_rule": rule})
    await ada.phone.sets(room, "m.room.history_visibility", {"history_visibility": visibility})

    assert await knows(ada.phone, room)
    assert await knows(mallory.phone, room) is is_known
    assert await is_known_to_all(world, room) is is_known


async def test_who_is_invited_knows_the_room_until_they_decline(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await ada.phone.creates(name="Tea")
    assert not await knows(boris.phone, room)

    await ada.phone.invites(room, boris.user_id)
    assert (await boris.phone.ask("GET", at_summary(room)))["membership"] == "invite"
    await boris.phone.leaves(room)
    assert not await knows(boris.phone, room)
    await ada.phone.invites(room, boris.user_id)
    await boris.phone.joins(room)
    assert await knows(boris.phone, room)
    await ada.phone.bans(room, boris.user_id)
    assert not await knows(boris.phone, room)


async def test_a_restricted_room_is_known_in_the_rooms_that_it_names(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    mallory = await world.person("mallory")
    club = await world.room(ada, boris)
    rule = {
        "join_rule": "restricted",
        "allow": [5, {"type": "m.room_membership", "room_id": club}, {"type": "other"}],
    }
    room = await ada.phone.creates(initial_state=[{"type": "m.room.join_rules", "content": rule}])

    told = await boris.phone.ask("GET", at_summary(room))
    assert (told["join_rule"], told["allowed_room_ids"]) == ("restricted", [club])
    assert not await knows(mallory.phone, room)
    assert not await is_known_to_all(world, room)
    await boris.phone.leaves(club)
    assert not await knows(boris.phone, room)
    await boris.phone.joins(club)
    await ada.phone.bans(room, boris.user_id)
    assert not await knows(boris.phone, room)


async def test_what_is_no_name_of_a_room_is_refused(world: World) -> None:
    ada = await world.person("ada")

    for text, status in (("tea", 400), ("@ada:localhost", 400), ("#no:localhost", 404)):
        assert (await ada.phone.refusal("GET", at_summary(text))).status == status


async def test_odd_state_is_as_none(world: World) -> None:
    ada = await world.person("ada")
    room = await world.room(ada, name="Tea", topic="old")
    rich = {
        "topic": "old",
        "m.topic": {"m.text": [{"mimetype": "text/html", "body": "<b>x"}, {"body": "plain"}]},
    }
    for type_, content in (
        ("m.room.name", {"name": {"a": 1}}),
        ("m.room.avatar", {"url": 5}),
        ("m.room.guest_access", {"guest_access": ["can_join"]}),
        ("m.room.encryption", {"algorithm": None}),
        ("m.room.topic", rich),
    ):
        await ada.phone.sets(room, type_, content)
    await ada.phone.sets(room, "m.room.name", {"name": "of another key"}, "x")

    told = await ada.phone.ask("GET", at_summary(room))

    assert told["topic"] == "plain"
    assert told["guest_can_join"] is False
    assert not {"name", "avatar_url", "encryption"} & told.keys()


async def shared(device: Device, other: Person, path: str = f"{V1}/mutual_rooms") -> Json:
    return await device.ask("GET", path, None, user_id=other.user_id)


async def test_mutual_rooms_are_those_that_both_are_in(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    rooms = [await world.room(ada, boris) for _ in range(2)]
    left, invited = await world.room(ada, boris), await world.room(ada)
    await boris.phone.leaves(left)
    await ada.phone.invites(invited, boris.user_id)
    await world.room(boris)

    for one, other in ((ada, boris), (boris, ada)):
        assert await shared(one.phone, other) == {"joined": sorted(rooms), "count": 2}
        unstable = "/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms"
        assert (await shared(one.phone, other, unstable))["joined"] == sorted(rooms)

    after = await ada.phone.ask(
        "GET", f"{V1}/mutual_rooms", None, user_id=boris.user_id, from_=min(rooms)
    )
    assert after == {"joined": [max(rooms)], "count": 2}
    nobody = await ada.phone.ask("GET", f"{V1}/mutual_rooms", None, user_id="@nobody:localhost")
    assert nobody == {"joined": [], "count": 0}
    for query in (
        {"user_id": ada.user_id},
        {"user_id": "ada"},
        {"user_id": boris.user_id, "from_": "x"},
    ):
        refused = await ada.phone.refusal("GET", f"{V1}/mutual_rooms", None, **query)
        assert (refused.status, refused.errcode) == (400, "M_INVALID_PARAM")
    assert (await ada.phone.refusal("GET", f"{V1}/mutual_rooms")).status == 400


async def near(device: Device, room: str, ts: int, way: str) -> str | None:
    """The event nearest to a time, if there is one."""
    path = at_room(room, "timestamp_to_event").replace(V3, V1)
    status, answer = await device.world.request("GET", path, token=device.token, ts=ts, dir=way)
    if status == 200:
        return str(answer["event_id"])
    assert (status, answer["errcode"]) == (404, "M_NOT_FOUND")
    return None


async def test_a_time_leads_to_the_nearest_event_on_either_side(world: World) -> None:
    ada = await world.person("ada")
    room, other = await world.room(ada), await world.room(ada)
    for n in range(20):
        await ada.phone.says(room, f"{n}")
        await ada.phone.says(other, f"{n}")
    page = await ada.phone.messages(room, dir="f", limit=100)
    events = page["chunk"]
    times = [event["origin_server_ts"] for event in events]

    for ts in {t + d for t in times for d in (-1, 0, 1)}:
        later = [e["event_id"] for e, t in zip(events, times, strict=True) if t >= ts]
        earlier = [e["event_id"] for e, t in zip(events, times, strict=True) if t <= ts]
        assert await near(ada.phone, room, ts, "f") == (later[0] if later else None)
        assert await near(ada.phone, room, ts, "b") == (earlier[-1] if earlier else None)
    for ts in (-(2**53) + 1, 2**53 - 1):
        assert {await near(ada.phone, room, ts, way) is None for way in "fb"} == {True, False}


async def test_a_time_leads_to_nothing_that_may_not_be_seen(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    mallory = await world.person("mallory")
    room = await world.room(
        ada,
        initial_state=[
            {"type": "m.room.history_visibility", "content": {"history_visibility": "joined"}}
        ],
    )
    await ada.phone.says(room, "before")
    await boris.phone.joins(room)
    seen = await ada.phone.says(room, "during")
    await boris.phone.leaves(room)
    await ada.phone.says(room, "after")

    page = await boris.phone.messages(room, dir="f", limit=100)
    ids = [event["event_id"] for event in page["chunk"]]
    assert seen in ids
    assert await near(boris.phone, room, 0, "f") == ids[0]
    assert await near(boris.phone, room, 2**53 - 1, "b") == ids[-1]
    path = at_room(room, "timestamp_to_event").replace(V3, V1)
    refused = await mallory.phone.refusal("GET", path, None, ts=0, dir="f")
    assert (refused.status, refused.errcode) == (403, "M_FORBIDDEN")
    assert (await ada.phone.refusal("GET", path, None, ts=0, dir="x")).status == 400
    assert (await ada.phone.refusal("GET", path, None, ts="x", dir="f")).status == 400
