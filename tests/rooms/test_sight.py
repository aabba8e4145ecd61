"""Who sees what of a room: each history visibility, asked by everybody who may stand before it."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.rooms.walking import at_room, backwards, ids, texts, walk
from tests.world import Person, World

NOTHING: set[int] = set()
ALL = {0, 1, 2, 3, 4}

SEEN = {
    "shared": {
        "mallory": NOTHING,
        "irina": NOTHING,
        "boris": ALL,
        "lena": {0, 1, 2},
        "bruno": {0, 1},
        "rita": ALL,
    },
    "joined": {
        "mallory": NOTHING,
        "irina": NOTHING,
        "boris": {2, 3, 4},
        "lena": {1, 2},
        "bruno": {1},
        "rita": {1, 4},
    },
    "invited": {
        "mallory": NOTHING,
        "irina": {1, 2, 3, 4},
        "boris": {1, 2, 3, 4},
        "lena": {1, 2},
        "bruno": {1},
        "rita": {1, 4},
    },
    "world_readable": dict.fromkeys(["mallory", "irina", "boris", "lena", "bruno", "rita"], ALL),
}
"""Which of five messages each sees in the end; see `Story` for who they are."""


@dataclass
class Story:
    """A room with five messages. Before the second, Irina and Boris were invited, Lena, Bruno and
    Rita came in. Before the third, Boris came, Bruno was banned, Rita left; before the fourth,
    Lena left; before the last, Rita came back. Mallory was never there.
    """

    room: str
    said: list[str]
    people: dict[str, Person]


async def story(world: World, visibility: str) -> Story:
    ada = await world.person("ada")
    names = ("mallory", "irina", "boris", "lena", "bruno", "rita")
    people = {name: await world.person(name) for name in names}
    room = await world.room(
        ada,
        initial_state=[
            {
                "type": "m.room.history_visibility",
                "content": {"history_visibility": visibility},
            }
        ],
    )
    said = [await ada.phone.says(room, "0")]
    for name in ("irina", "boris"):
        await ada.phone.invites(room, people[name].user_id)
    for name in ("lena", "bruno", "rita"):
        await people[name].phone.joins(room)
    said.append(await ada.phone.says(room, "1"))
    await people["boris"].phone.joins(room)
    await ada.phone.bans(room, people["bruno"].user_id)
    await people["rita"].phone.leaves(room)
    said.append(await ada.phone.says(room, "2"))
    await people["lena"].phone.leaves(room)
    said.append(await ada.phone.says(room, "3"))
    await people["rita"].phone.joins(room)
    said.append(await ada.phone.says(room, "4"))
    return Story(room, said, people)


@pytest.mark.parametrize("visibility", SEEN)
async def test_everybody_sees_what_the_history_visibility_shows_them(
    world: World, visibility: str
) -> None:
    told = await story(world, visibility)
    ada = await world.person("ada")
    assert texts(await walk(ada.phone, told.room, "f")) == ["0", "1", "2", "3", "4"]

    for name, person in told.people.items():
        expected = SEEN[visibility][name]
        if not expected:
            refused = await person.phone.refusal("GET", at_room(told.room, "messages"), dir="b")
            assert (refused.status, refused.errcode) == (403, "M_FORBIDDEN"), name
        else:
            wanted = [str(number) for number in sorted(expected)]
            assert texts(await walk(person.phone, told.room, "f", limit=2)) == wanted, name
            assert texts(backwards(await walk(person.phone, told.room, limit=3))) == wanted, name
        for number, event_id in enumerate(told.said):
            for path in ("event", "context"):
                status, answer = await world.request(
                    "GET", at_room(told.room, path, event_id), token=person.phone.token
                )
                if number in expected:
                    assert status == 200, (name, number, path)
                else:
                    assert (status, answer["errcode"]) == (404, "M_NOT_FOUND"), (name, number, path)


@pytest.mark.parametrize("visibility", SEEN)
async def test_a_context_shows_nothing_that_a_page_of_history_would_not(
    world: World, visibility: str
) -> None:
    told = await story(world, visibility)

    for name, person in told.people.items():
        for number in SEEN[visibility][name]:
            path = at_room(told.room, "context", told.said[number])
            around = await person.phone.ask("GET", path, limit=100)
            line = [*backwards(around["events_before"]), around["event"], *around["events_after"]]
            assert ids(line) == ids(await walk(person.phone, told.room, "f")), (name, number)


async def test_a_stranger_learns_nothing_that_a_missing_room_would_not_say(world: World) -> None:
    ada, mallory = await world.person("ada"), await world.person("mallory")
    room = await world.room(ada, preset="private_chat")
    event = await ada.phone.says(room, "hush")
    missing = room[:-4] + ("AAAA" if not room.endswith("AAAA") else "BBBB")
    reads = [
        ("state",),
        ("state", "m.room.name", ""),
        ("members",),
        ("joined_members",),
        ("messages",),
        ("event", event),
        ("context", event),
    ]

    for rest in reads:
        query: dict[str, Any] = {"dir": "b"} if rest == ("messages",) else {}
        real = await mallory.phone.refusal("GET", at_room(room, *rest), **query)
        none = await mallory.phone.refusal("GET", at_room(missing, *rest), **query)
        assert (real.status, real.body) == (none.status, none.body)
        await ada.phone.ask("GET", at_room(room, "event", event))
    for verb, body in [
        ("join", {}),
        ("invite", {"user_id": mallory.user_id}),
        ("leave", {}),
        ("forget", {}),
        ("kick", {"user_id": ada.user_id}),
        ("ban", {"user_id": ada.user_id}),
        ("unban", {"user_id": ada.user_id}),
    ]:
        real = await mallory.phone.refusal("POST", at_room(room, verb), body)
        none = await mallory.phone.refusal("POST", at_room(missing, verb), body)
        assert (real.status, real.body) == (none.status, none.body), verb
    for rest in [
        ("send", "m.room.message", "1"),
        ("state", "m.room.name", ""),
        ("redact", event, "1"),
        ("typing", mallory.user_id),
    ]:
        content = {"typing": True} if rest[0] == "typing" else {}
        real = await mallory.phone.refusal("PUT", at_room(room, *rest), content)
        none = await mallory.phone.refusal("PUT", at_room(missing, *rest), content)
        assert (real.status, real.body) == (none.status, none.body), rest


async def test_a_former_member_knows_the_state_as_they_left_it(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    clara = await world.person("clara")
    room = await world.room(ada, boris)
    await ada.phone.sets(room, "m.room.name", {"name": "then"})

    await boris.phone.leaves(room)
    await ada.phone.sets(room, "m.room.name", {"name": "now"})
    await ada.phone.sets(room, "m.room.topic", {"topic": "of now"})
    await clara.phone.joins(room)

    name = at_room(room, "state", "m.room.name", "")
    assert await boris.phone.ask("GET", name) == {"name": "then"}
    assert await ada.phone.ask("GET", name) == {"name": "now"}
    gone = await boris.phone.refusal("GET", at_room(room, "state", "m.room.topic", ""))
    assert (gone.status, gone.errcode) == (404, "M_NOT_FOUND")
    members = await boris.phone.ask("GET", at_room(room, "members"))
    assert {e["state_key"]: e["content"]["membership"] for e in members["chunk"]} == {
        ada.user_id: "join",
        boris.user_id: "leave",
    }
    status, state = await world.request("GET", at_room(room, "state"), token=boris.phone.token)
    assert status == 200
    assert clara.user_id not in [event["state_key"] for event in state]  # type: ignore[index]
    refused = await boris.phone.refusal("GET", at_room(room, "joined_members"))
    assert refused.status == 403


async def test_a_ban_after_leaving_shows_nothing_of_the_time_between(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris)
    await boris.phone.leaves(room)
    await ada.phone.sets(room, "m.room.name", {"name": "between"})

    await ada.phone.bans(room, boris.user_id)

    refused = await boris.phone.refusal("GET", at_room(room, "state", "m.room.name", ""))
    assert refused.status == 404


async def test_an_invited_person_knows_no_state_and_neither_does_who_declined(
    world: World,
) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, preset="private_chat")
    await ada.phone.invites(room, boris.user_id)

    for _ in range(2):
        for rest in (("state",), ("members",), ("state", "m.room.create", "")):
            refused = await boris.phone.refusal("GET", at_room(room, *rest))
            assert (refused.status, refused.errcode) == (403, "M_FORBIDDEN")
        await boris.phone.leaves(room)


async def test_a_forgotten_room_is_as_one_never_seen_until_the_next_invite(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris, preset="private_chat")
    said = await ada.phone.says(room, "remember me")
    early = await boris.phone.refusal("POST", at_room(room, "forget"))
    assert (early.status, early.errcode) == (400, "M_UNKNOWN")

    await boris.phone.leaves(room)
    assert texts(await walk(boris.phone, room)) == ["remember me"]
    await boris.phone.ask("POST", at_room(room, "forget"))

    for rest in (("messages",), ("state",), ("members",), ("event", said)):
        refused = await boris.phone.refusal("GET", at_room(room, *rest), dir="b")
        assert refused.status in (403, 404)
    await ada.phone.invites(room, boris.user_id)
    await boris.phone.joins(room)
    assert "remember me" in texts(await walk(boris.phone, room))


async def test_what_the_world_may_read_needs_an_account_and_no_membership(world: World) -> None:
    ada, mallory = await world.person("ada"), await world.person("mallory")
    room = await world.room(ada)
    await ada.phone.says(room, "before")
    await ada.phone.sets(
        room, "m.room.history_visibility", {"history_visibility": "world_readable"}
    )
    await ada.phone.says(room, "for all")

    assert texts(await walk(mallory.phone, room)) == ["for all"]
    state = at_room(room, "state", "m.room.history_visibility", "")
    assert await mallory.phone.ask("GET", state) == {"history_visibility": "world_readable"}
    status, _ = await world.request("GET", at_room(room, "messages"), dir="b")
    assert status == 401

    await ada.phone.sets(room, "m.room.history_visibility", {"history_visibility": "shared"})
    await ada.phone.says(room, "not for all")
    assert texts(await walk(mallory.phone, room)) == ["for all"]
    refused = await mallory.phone.refusal("GET", state)
    assert refused.status == 403


async def test_each_event_says_what_its_reader_was_at_the_time(world: World) -> None:
    """`unsigned.membership`: https://spec.matrix.org/v1.19/client-server-api/#room-event-format"""
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada)
    await ada.phone.says(room, "early")
    await ada.phone.invites(room, boris.user_id)
    await ada.phone.says(room, "come")
    await boris.phone.joins(room)
    await ada.phone.says(room, "here")

    told = {
        event["content"]["body"]: event["unsigned"]["membership"]
        for event in await walk(boris.phone, room)
        if event["type"] == "m.room.message"
    }

    assert told == {"early": "leave", "come": "invite", "here": "join"}
