"""Sending and redacting: once for each transaction, judged by the room, refused in words."""

import asyncio
import json

import pytest

from tests.rooms.walking import at_room, backwards, ids, problems, texts, walk
from tests.world import Device, Json, World

TEXT: Json = {"msgtype": "m.text", "body": "once"}


async def test_a_repeated_transaction_is_answered_with_its_first_event(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room, other = await world.room(ada, boris), await world.room(ada)
    laptop = await world.another_device(ada)

    first = await ada.phone.says(room, "once", txn="t 1 ä")
    assert await ada.phone.says(room, "once", txn="t 1 ä") == first
    await world.restart()
    assert await ada.phone.says(room, "once", txn="t 1 ä") == first

    others = {
        await laptop.says(room, "once", txn="t 1 ä"),
        await boris.phone.says(room, "once", txn="t 1 ä"),
        await ada.phone.says(other, "once", txn="t 1 ä"),
    }
    assert len(others | {first}) == 4
    assert texts(await walk(ada.phone, room)) == ["once"] * 3
    assert await problems(world) == []


async def test_a_transaction_repeated_before_its_answer_is_sent_once(world: World) -> None:
    ada = await world.person("ada")
    room = await world.room(ada)

    event_ids = await asyncio.gather(*(ada.phone.says(room, "once", txn="1") for _ in range(10)))

    assert len(set(event_ids)) == 1
    assert texts(await walk(ada.phone, room)) == ["once"]


async def test_the_transaction_id_is_told_to_the_sending_device_alone(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris)
    laptop = await world.another_device(ada)
    event_id = await ada.phone.says(room, "mine", txn="secret")
    path = at_room(room, "event", event_id)

    async def told(device: Device) -> object:
        return (await device.ask("GET", path))["unsigned"].get("transaction_id")

    assert [await told(d) for d in (ada.phone, laptop, boris.phone)] == ["secret", None, None]


@pytest.mark.parametrize(
    ("content", "status", "errcode"),
    [
        (b"", 400, "M_NOT_JSON"),
        (b"[]", 400, "M_BAD_JSON"),
        (b'{"a": 1, "a": 2}', 400, "M_BAD_JSON"),
        (b'{"a": 0.5}', 400, "M_BAD_JSON"),
        (b'{"a": 9007199254740992}', 400, "M_BAD_JSON"),
        (b'{"a": NaN}', 400, "M_NOT_JSON"),
        (b'{"a": "\xff"}', 400, "M_NOT_JSON"),
        (b'{"a": "%s"}' % (b"x" * 70_000), 413, "M_TOO_LARGE"),
        (b'{"a": "%s"}' % (b"x" * 140_000), 413, "M_TOO_LARGE"),
        (b'{"a":' * 150 + b"1" + b"}" * 150, 400, "M_BAD_JSON"),
    ],
)
async def test_content_that_no_event_can_have_is_refused(
    world: World, content: bytes, status: int, errcode: str
) -> None:
    ada = await world.person("ada")
    room = await world.room(ada)

    for rest in (("send", "m.room.message", "1"), ("state", "org.example.state", "")):
        got, answer = await world.request(
            "PUT", at_room(room, *rest), content, token=ada.phone.token
        )
        assert (got, answer["errcode"]) == (status, errcode)

    assert texts(await walk(ada.phone, room)) == []
    await ada.phone.says(room, "the room is well", txn="1")


async def test_ids_that_are_too_long_are_refused(world: World) -> None:
    ada = await world.person("ada")
    room = await world.room(ada)
    long = "x" * 256

    for rest in (
        ("send", long, "1"),
        ("send", "m.room.message", long),
        ("state", long, ""),
        ("state", "m.type", long),
        ("state", "m.type", "a\x00b"),
    ):
        refused = await ada.phone.refusal("PUT", at_room(room, *rest), {})
        assert (refused.status, refused.errcode) == (400, "M_INVALID_PARAM"), rest


async def test_what_is_to_be_sent_later_is_not_sent_now(world: World) -> None:
    """Performed at once, a delayed event would end the call that it is to tidy up after."""
    ada = await world.person("ada")
    room = await world.room(ada)
    before = ids(await walk(ada.phone, room))

    for rest in (
        ("send", "m.room.message", "1"),
        ("state", "m.room.name", ""),
        ("state", "m.room.name"),
    ):
        status, answer = await world.request(
            "PUT",
            at_room(room, *rest) + "?org.matrix.msc4140.delay=1000",
            TEXT,
            token=ada.phone.token,
        )
        assert (status, answer["errcode"]) == (400, "M_UNRECOGNIZED")

    assert ids(await walk(ada.phone, room)) == before


async def test_state_without_a_key_has_the_empty_one(world: World) -> None:
    ada = await world.person("ada")
    room = await world.room(ada)
    paths = [at_room(room, "state", "m.room.topic"), at_room(room, "state", "m.room.topic", "")]
    assert paths[0] + "/" == paths[1]

    first = await ada.phone.ask("PUT", paths[0], {"topic": "tea"})
    again = await ada.phone.ask("PUT", paths[1], {"topic": "tea"})

    assert first == again
    for path in paths:
        assert await ada.phone.ask("GET", path) == {"topic": "tea"}
        whole = await ada.phone.ask("GET", path, format="event")
        assert whole["event_id"] == first["event_id"]
        assert (whole["state_key"], whole["room_id"]) == ("", room)
        refused = await ada.phone.refusal("GET", path, format="poem")
        assert (refused.status, refused.errcode) == (400, "M_INVALID_PARAM")
    none = await ada.phone.refusal("GET", at_room(room, "state", "m.room.topic", "other"))
    assert (none.status, none.errcode) == (404, "M_NOT_FOUND")


async def test_a_change_of_state_says_what_it_replaced(world: World) -> None:
    ada = await world.person("ada")
    room = await world.room(ada)
    first = await ada.phone.sets(room, "m.room.name", {"name": "one"})
    second = await ada.phone.sets(room, "m.room.name", {"name": "two"})

    event = await ada.phone.ask("GET", at_room(room, "event", second))

    assert event["unsigned"]["prev_content"] == {"name": "one"}
    assert event["unsigned"]["replaces_state"] == first


async def test_power_levels_decide_who_changes_what(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris)
    levels = await ada.phone.ask("GET", at_room(room, "state", "m.room.power_levels", ""))
    name = at_room(room, "state", "m.room.name", "")

    refused = await boris.phone.refusal("PUT", name, {"name": "Boris's"})
    assert (refused.status, refused.errcode) == (403, "M_FORBIDDEN")
    await ada.phone.sets(room, "m.room.power_levels", {**levels, "users": {boris.user_id: 50}})
    await boris.phone.sets(room, "m.room.name", {"name": "Boris's"})
    for wrong in (
        {**levels, "users": {boris.user_id: 100}},
        {**levels, "users": {boris.user_id: 50, ada.user_id: 100}},
        {**levels, "users": {boris.user_id: "50"}},
    ):
        refused = await boris.phone.refusal(
            "PUT", at_room(room, "state", "m.room.power_levels", ""), wrong
        )
        assert refused.status == 403
    await ada.phone.sets(room, "m.room.power_levels", {**levels, "events_default": 10})
    refused = await boris.phone.refusal("PUT", at_room(room, "send", "m.room.message", "1"), TEXT)
    assert refused.status == 403
    refused = await boris.phone.refusal("PUT", at_room(room, "state", "m.room.create", ""), {})
    assert refused.status == 403


# -- redaction ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["10", "11", "12"])
async def test_a_redaction_takes_the_words_and_leaves_the_place(world: World, version: str) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris, room_version=version)
    said = await boris.phone.says(room, "regretted")
    after = await boris.phone.says(room, "kept")
    await ada.phone.syncs()

    path = at_room(room, "redact", said, "1")
    redaction = (await boris.phone.ask("PUT", path, {"reason": "a slip"}))["event_id"]
    assert (await boris.phone.ask("PUT", path, {"reason": "a slip"}))["event_id"] == redaction

    for turn in range(2):
        event = await ada.phone.ask("GET", at_room(room, "event", said))
        assert event["content"] == {}
        assert event["sender"] == boris.user_id
        because = event["unsigned"]["redacted_because"]
        assert because["event_id"] == redaction
        assert because["content"]["reason"] == "a slip"
        line = await walk(ada.phone, room, "f")
        assert ids(line)[-3:] == [said, after, redaction]
        assert line[-1]["redacts"] == said
        assert line[-1]["content"] == {"redacts": said, "reason": "a slip"}
        assert "redacted_because" not in line[-2]["unsigned"]
        if turn == 0:
            heard = ada.phone.timeline(await ada.phone.syncs(), room)
            assert [e["content"] for e in heard] == [{"redacts": said, "reason": "a slip"}]
            await world.restart()
    assert await problems(world) == []


async def test_others_words_are_redacted_by_who_has_the_power(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room, other = await world.room(ada, boris), await world.room(ada, boris)
    of_ada, of_boris = await ada.phone.says(room, "a"), await boris.phone.says(room, "b")
    elsewhere = await boris.phone.says(other, "c")

    refused = await boris.phone.refusal("PUT", at_room(room, "redact", of_ada, "1"), {})
    assert (refused.status, refused.errcode) == (403, "M_FORBIDDEN")
    for wrong in (elsewhere, "$nothing", "$" + "A" * 43):
        refused = await ada.phone.refusal("PUT", at_room(room, "redact", wrong, "2"), {})
        assert (refused.status, refused.errcode) == (404, "M_NOT_FOUND")
    await ada.phone.redacts(room, of_boris)
    await ada.phone.redacts(room, of_boris)

    assert texts([e for e in await walk(ada.phone, room) if e["content"]]) == ["a"]
    assert texts(await walk(ada.phone, other)) == ["c"]


@pytest.mark.parametrize("version", ["10", "11", "12"])
async def test_a_redacted_piece_of_state_is_quoted_nowhere(world: World, version: str) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris, room_version=version)
    slur = await ada.phone.sets(room, "m.room.name", {"name": "a slur"})
    before = (await boris.phone.syncs())["next_batch"]
    await ada.phone.sets(room, "m.room.name", {"name": "tea"})
    join = (await walk(ada.phone, room, "f"))[1]["event_id"]

    await ada.phone.redacts(room, slur)
    await ada.phone.redacts(room, join)

    for _ in range(2):
        for text in (
            await boris.phone.syncs(since=before),
            await boris.phone.syncs(since=None),
            backwards(await walk(boris.phone, room)),
            await boris.phone.ask("GET", at_room(room, "state", "m.room.name", ""), format="event"),
        ):
            assert "slur" not in json.dumps(text)
        member = await boris.phone.ask("GET", at_room(room, "state", "m.room.member", ada.user_id))
        assert member == {"membership": "join"}
        await ada.phone.says(room, "still here")
        await world.restart()
    assert await problems(world) == []


async def test_power_levels_that_were_redacted_count_as_what_is_left(world: World) -> None:
    """Version 10 forgets the level for inviting, which then is 0 again."""
    ada, boris = await world.person("ada"), await world.person("boris")
    await world.person("clara")
    room = await world.room(ada, boris, room_version="10")
    levels = await ada.phone.ask("GET", at_room(room, "state", "m.room.power_levels", ""))
    event = await ada.phone.sets(room, "m.room.power_levels", {**levels, "invite": 50})
    whom = {"user_id": "@clara:localhost"}
    refused = await boris.phone.refusal("POST", at_room(room, "invite"), whom)
    assert refused.status == 403

    await ada.phone.redacts(room, event)

    await boris.phone.ask("POST", at_room(room, "invite"), whom)


async def test_a_redaction_may_be_sent_like_any_event(world: World) -> None:
    ada = await world.person("ada")
    room = await world.room(ada)
    said = await ada.phone.says(room, "regretted")

    refused = await ada.phone.refusal("PUT", at_room(room, "send", "m.room.redaction", "1"), {})
    assert (refused.status, refused.errcode) == (400, "M_INVALID_PARAM")
    await ada.phone.sends(room, "m.room.redaction", {"redacts": said})

    assert (await ada.phone.ask("GET", at_room(room, "event", said)))["content"] == {}
