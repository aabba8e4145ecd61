"""History page by page: each event once, in order, in both directions, from every token."""

import asyncio
import json
from typing import Any

import pytest

from posthouse.matrix import RoomId, UserId
from posthouse.rooms.history import LOOKED_AT_MAX, STRETCHES_MAX
from tests.rooms.walking import at_room, backwards, ids, texts, walk
from tests.world import Device, Json, World


async def a_long_talk(world: World, length: int = 25) -> tuple[str, Device, Device, list[str]]:
    """A room with many messages, while in another room as many are written."""
    ada, boris = await world.person("ada"), await world.person("boris")
    room, other = await world.room(ada, boris), await world.room(ada, boris)
    said = []
    for number in range(length):
        said.append(await (ada, boris)[number % 2].phone.says(room, str(number)))
        await ada.phone.says(other, "elsewhere")
    return room, ada.phone, boris.phone, said


@pytest.mark.parametrize("limit", [1, 7, 34, 1_000_000])
async def test_both_directions_tell_the_same_log_once(world: World, limit: int) -> None:
    room, ada, _, said = await a_long_talk(world)

    forwards = [] if limit > 1_000 else await walk(ada, room, "f", limit=limit)
    if limit > 1_000:
        forwards = (await ada.messages(room, dir="f", limit=limit))["chunk"]
    back = (
        await walk(ada, room, "b", limit=limit)
        if limit < 1_000
        else (await ada.messages(room, dir="b", limit=limit))["chunk"]
    )

    assert ids(forwards) == ids(backwards(back))
    assert [e for e in ids(forwards) if e in said] == said
    assert len(set(ids(forwards))) == len(forwards)
    assert forwards[0]["type"] == "m.room.create"
    assert all(event["room_id"] == room for event in forwards)


async def test_the_last_page_has_no_end_even_when_it_is_full(world: World) -> None:
    room, ada, _, _ = await a_long_talk(world, 3)
    whole = await walk(ada, room, "f")

    exact = await ada.messages(room, dir="f", limit=len(whole))
    short = await ada.messages(room, dir="f", limit=len(whole) - 1)

    assert ids(exact["chunk"]) == ids(whole)
    assert "end" not in exact
    assert "end" in short
    rest = await ada.messages(room, dir="f", from_=short["end"])
    assert ids(rest["chunk"]) == ids(whole[-1:])
    assert rest["start"] == short["end"]
    nothing = await ada.messages(room, dir="b", limit=0)
    assert nothing["chunk"] == []
    assert ids(await walk(ada, room, from_=nothing["end"])) == ids(backwards(whole))


async def test_what_sync_left_out_begins_where_its_timeline_does(world: World) -> None:
    room, _, boris, said = await a_long_talk(world)
    newest = await boris.syncs(since=None, filter=json.dumps({"room": {"timeline": {"limit": 5}}}))
    timeline = newest["rooms"]["join"][room]["timeline"]
    assert timeline["limited"]

    older = await walk(boris, room, limit=4, from_=timeline["prev_batch"])

    line = ids(backwards(older)) + ids(timeline["events"])
    assert [e for e in line if e in said] == said
    assert len(set(line)) == len(line)
    assert line == ids(await walk(boris, room, "f"))


async def test_a_gap_between_two_syncs_is_filled_from_either_side(world: World) -> None:
    room, ada, boris, _ = await a_long_talk(world, 2)
    few = json.dumps({"room": {"timeline": {"limit": 2}}})
    before = (await boris.syncs(since=None))["next_batch"]
    missed = [await ada.says(room, f"missed {number}") for number in range(9)]

    answer = await boris.syncs(filter=few)

    timeline = answer["rooms"]["join"][room]["timeline"]
    assert ids(timeline["events"]) == missed[-2:]
    down = await walk(boris, room, limit=3, from_=timeline["prev_batch"], to=before)
    assert ids(backwards(down)) == missed[:-2]
    up = await walk(boris, room, "f", limit=3, from_=before, to=timeline["prev_batch"])
    assert ids(up) == missed[:-2]
    assert ids(await walk(boris, room, "f", from_=before)) == missed
    assert await walk(boris, room, "f", from_=answer["next_batch"]) == []


@pytest.mark.parametrize(
    "token",
    [
        "nonsense",
        "t",
        "t1_",
        "tzz_1",
        "s72594_4483_1934",
        "t1_2_3",
        "AQAA",
        "é",
        "\x00",
    ],
)
async def test_a_token_that_is_none_is_refused(world: World, token: str) -> None:
    room, ada, _, _ = await a_long_talk(world, 1)

    queries: list[dict[str, Any]] = [{"from_": token}, {"to": token}]
    for query in queries:
        refused = await ada.refusal("GET", at_room(room, "messages"), dir="b", **query)
        assert (refused.status, refused.errcode) == (400, "M_INVALID_PARAM"), token
    refused = await ada.refusal("GET", at_room(room, "members"), at=token)
    assert refused.status == 400


async def test_a_token_of_another_place_is_held_to_the_room(world: World) -> None:
    """A token grants nothing, wherever it points to."""
    room, ada, _, said = await a_long_talk(world, 3)

    for position in ("0", "ffffffffff", "7fffffffff"):
        everything = await walk(ada, room, "f", from_="t1_0", to=f"t1_{position}")
        assert texts(everything) in ([], ["0", "1", "2"])
    assert ids(await walk(ada, room, from_="t1_ffffffffff"))[:3] == backwards(said)  # type: ignore[arg-type]
    for token in ("t1_-5", "t1_+1", "t1_ffffffffffffffffffffffff", "t1_1_1", "T1_1"):
        refused = await ada.refusal("GET", at_room(room, "messages"), dir="f", from_=token)
        assert (refused.status, refused.errcode) == (400, "M_INVALID_PARAM")


@pytest.mark.parametrize(
    ("query", "errcode"),
    [
        ({}, "M_MISSING_PARAM"),
        ({"dir": "x"}, "M_INVALID_PARAM"),
        ({"dir": "b", "limit": "-1"}, "M_INVALID_PARAM"),
        ({"dir": "b", "limit": "many"}, "M_INVALID_PARAM"),
        ({"dir": "b", "filter": "{"}, "M_NOT_JSON"),
        ({"dir": "b", "filter": '{"types": "m.room.message"}'}, "M_BAD_JSON"),
    ],
)
async def test_a_request_that_makes_no_sense_is_told_why(
    world: World, query: dict[str, Any], errcode: str
) -> None:
    ada = await world.person("ada")
    room = await world.room(ada)

    refused = await ada.phone.refusal("GET", at_room(room, "messages"), **query)

    assert (refused.status, refused.errcode) == (400, errcode)


async def test_a_filter_takes_away_and_the_walk_still_reaches_the_end(world: World) -> None:
    room, ada, boris, _ = await a_long_talk(world, 20)
    picture = {"msgtype": "m.image", "body": "a picture", "url": "mxc://localhost/abc"}
    await ada.sends(room, "m.room.message", picture)

    def asked(**wanted: object) -> str:
        return json.dumps(wanted)

    of_boris = await walk(ada, room, limit=3, filter=asked(senders=[boris.user_id]))
    assert texts(of_boris) == [str(n) for n in range(19, 0, -2)]
    messages = await walk(ada, room, "f", limit=4, filter=asked(types=["m.room.mess*"]))
    assert texts(messages) == [*map(str, range(20)), "a picture"]
    state = await walk(ada, room, "f", limit=2, filter=asked(not_types=["m.room.message"]))
    assert texts(state) == []
    assert len(state) > 5
    assert texts(await walk(ada, room, filter=asked(contains_url=True))) == ["a picture"]
    assert await walk(ada, room, filter=asked(types=[])) == []
    assert await walk(ada, room, filter=asked(not_rooms=[room])) == []
    page = await ada.messages(room, dir="b", filter=asked(limit=2, types=["m.room.message"]))
    assert len(page["chunk"]) == 2


async def test_with_lazy_loading_a_page_brings_the_members_who_speak_in_it(world: World) -> None:
    room, ada, boris, _ = await a_long_talk(world, 6)
    await boris.ask("PUT", at_room(room, "state", "m.room.member", boris.user_id), BORIS_RENAMED)
    await boris.says(room, "under a new name")
    lazily = json.dumps({"lazy_load_members": True, "types": ["m.room.message"]})

    newest = await ada.messages(room, dir="b", limit=1, filter=lazily)
    older = await ada.messages(room, dir="b", limit=5, filter=lazily, from_=newest["end"])

    assert [event["content"] for event in newest["state"]] == [BORIS_RENAMED]
    by_person = {event["state_key"]: event["content"] for event in older["state"]}
    assert by_person == {
        ada.user_id: {"membership": "join"},
        boris.user_id: {"membership": "join"},
    }
    assert "state" not in await ada.messages(room, dir="b", limit=1)


BORIS_RENAMED: Json = {"membership": "join", "displayname": "Boris the Second"}


async def test_a_context_holds_as_many_as_asked_and_goes_on_both_ways(world: World) -> None:
    room, ada, _, said = await a_long_talk(world, 9)
    whole = ids(await walk(ada, room, "f"))
    middle = whole.index(said[4])

    around = await ada.ask("GET", at_room(room, "context", said[4]), limit=4)

    assert around["event"]["event_id"] == said[4]
    assert ids(around["events_before"]) == [whole[middle - 1], whole[middle - 2]]
    assert ids(around["events_after"]) == whole[middle + 1 : middle + 3]
    assert any(event["type"] == "m.room.create" for event in around["state"])
    older = await walk(ada, room, from_=around["start"])
    newer = await walk(ada, room, "f", from_=around["end"])
    assert ids(backwards(older)) == whole[: middle - 2]
    assert ids(newer) == whole[middle + 3 :]

    alone = await ada.ask("GET", at_room(room, "context", said[4]), limit=0)
    assert (alone["events_before"], alone["events_after"]) == ([], [])
    lazy = json.dumps({"lazy_load_members": True})
    few = await ada.ask("GET", at_room(room, "context", said[4]), limit=1, filter=lazy)
    members = [e["state_key"] for e in few["state"] if e["type"] == "m.room.member"]
    speakers = {e["sender"] for e in (*few["events_before"], few["event"], *few["events_after"])}
    assert sorted(members) == sorted(speakers)


async def test_members_at_a_token_are_those_of_that_time(world: World) -> None:
    ada, boris, clara = [await world.person(name) for name in ("ada", "boris", "clara")]
    room = await world.room(ada, boris)
    token = (await boris.phone.syncs())["next_batch"]
    await clara.phone.joins(room)
    await ada.phone.bans(room, boris.user_id)

    async def members(device: Device, **query: Any) -> dict[str, str]:
        answer = await device.ask("GET", at_room(room, "members"), **query)
        return {e["state_key"]: e["content"]["membership"] for e in answer["chunk"]}

    then = {ada.user_id: "join", boris.user_id: "join"}
    now = {ada.user_id: "join", boris.user_id: "ban", clara.user_id: "join"}
    assert await members(ada.phone) == now
    assert await members(ada.phone, at=token) == then
    joined = {ada.user_id: "join", clara.user_id: "join"}
    assert await members(ada.phone, membership="join") == joined
    assert await members(ada.phone, not_membership="ban") == joined
    assert await members(ada.phone, membership="ban", not_membership="join") == {
        boris.user_id: "ban"
    }
    refused = await ada.phone.refusal("GET", at_room(room, "members"), membership="friend")
    assert (refused.status, refused.errcode) == (400, "M_INVALID_PARAM")
    assert list((await ada.phone.ask("GET", at_room(room, "joined_members")))["joined"]) == [
        ada.user_id,
        clara.user_id,
    ]


async def test_the_first_sync_after_a_join_names_a_place_whose_members_may_be_asked(
    world: World,
) -> None:
    """Where nothing before the join may be seen, the token of the timeline's start lies before it."""
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(
        ada,
        initial_state=[
            {"type": "m.room.history_visibility", "content": {"history_visibility": "joined"}}
        ],
    )
    await ada.phone.says(room, "not for Boris")
    await boris.phone.joins(room)
    one = json.dumps({"room": {"timeline": {"limit": 1}}})
    timeline = (await boris.phone.syncs(filter=one))["rooms"]["join"][room]["timeline"]
    assert [event["type"] for event in timeline["events"]] == ["m.room.member"]
    token = timeline["prev_batch"]

    answer = await boris.phone.ask("GET", at_room(room, "members"), at=token)

    assert {e["state_key"] for e in answer["chunk"]} == {ada.user_id, boris.user_id}


async def test_history_reads_the_same_after_a_restart(world: World) -> None:
    room, ada, _, _ = await a_long_talk(world, 5)
    before = await walk(ada, room, "f")
    page = await ada.messages(room, dir="b", limit=3)

    await world.restart()

    after = await walk(ada, room, "f")
    assert ids(after) == ids(before)
    assert [e["content"] for e in after] == [e["content"] for e in before]
    rest = await walk(ada, room, from_=page["end"])
    assert ids(page["chunk"]) + ids(rest) == ids(backwards(before))


async def test_a_long_walk_that_finds_little_says_where_to_go_on(world: World) -> None:
    """A filter that lets almost nothing through costs a bounded piece at a time."""
    ada = await world.person("ada")
    room = await world.room(ada)
    rooms, device = world.services.rooms, ada.phone.device_id

    async def says(number: int) -> None:
        await rooms.send(
            UserId(ada.user_id), device, RoomId(room), "m.dust", {"n": number}, f"d{number}"
        )

    await ada.phone.says(room, "needle")
    for first in range(0, LOOKED_AT_MAX + 100, 100):
        await asyncio.gather(*(says(number) for number in range(first, first + 100)))
    wanted = json.dumps({"types": ["m.room.message"]})

    page = await ada.phone.messages(room, dir="b", filter=wanted)

    assert page["chunk"] == []
    assert "end" in page
    assert texts(await walk(ada.phone, room, from_=page["end"], filter=wanted)) == ["needle"]
    assert texts(await walk(ada.phone, room, "f", filter=wanted)) == ["needle"]


async def test_who_comes_and_goes_all_the_time_reads_all_their_stays(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(
        ada,
        initial_state=[
            {"type": "m.room.history_visibility", "content": {"history_visibility": "joined"}}
        ],
    )
    stays = STRETCHES_MAX + 3
    for number in range(stays):
        await boris.phone.joins(room)
        await ada.phone.says(room, str(number))
        await boris.phone.leaves(room)
        await ada.phone.says(room, "when he was out")

    first = await boris.phone.messages(room, dir="f", limit=500)

    assert "end" in first
    wanted = [str(number) for number in range(stays)]
    assert texts(await walk(boris.phone, room, "f", limit=500)) == wanted
    assert texts(backwards(await walk(boris.phone, room, limit=500))) == wanted
