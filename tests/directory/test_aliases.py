"""Names of rooms: who may give and take them, and where they lead."""

import asyncio
from urllib.parse import quote

import pytest

from tests.rooms.walking import at_room
from tests.world import V3, Device, Json, World


def at_alias(alias: str) -> str:
    return f"{V3}/directory/room/{quote(alias, safe='')}"


async def names_of(device: Device, room: str) -> list[str]:
    names: list[str] = (await device.ask("GET", at_room(room, "aliases")))["aliases"]
    return names


async def test_a_name_leads_to_its_room_for_everybody(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada)

    await ada.phone.ask("PUT", at_alias("#tea:localhost"), {"room_id": room})

    status, found = await world.request("GET", at_alias("#tea:localhost"))
    assert (status, found) == (200, {"room_id": room, "servers": ["localhost"]})
    joined = await boris.phone.ask("POST", f"{V3}/join/{quote('#tea:localhost')}", {})
    assert joined == {"room_id": room}
    assert await names_of(boris.phone, room) == ["#tea:localhost"]


async def test_a_name_is_given_once(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    rooms = [await world.room(ada, boris) for _ in range(4)]

    answers = await asyncio.gather(
        *(
            world.request("PUT", at_alias("#tea:localhost"), {"room_id": room}, token=person.token)
            for room in rooms
            for person in (ada.phone, boris.phone)
        )
    )

    assert sorted(status for status, _ in answers) == [200] + [409] * 7
    assert {body["errcode"] for status, body in answers if status != 200} == {"M_UNKNOWN"}


@pytest.mark.parametrize(
    ("alias", "status", "errcode"),
    [
        ("tea", 400, "M_INVALID_PARAM"),
        ("#tea", 400, "M_INVALID_PARAM"),
        ("#:localhost", 400, "M_INVALID_PARAM"),
        ("#green tea:localhost", 400, "M_INVALID_PARAM"),
        ("#tea\u202e:localhost", 400, "M_INVALID_PARAM"),
        ("#tea:elsewhere.example", 400, "M_INVALID_PARAM"),
        ("#" + "t" * 250 + ":localhost", 400, "M_INVALID_PARAM"),
    ],
)
async def test_not_every_text_is_a_name(
    world: World, alias: str, status: int, errcode: str
) -> None:
    ada = await world.person("ada")
    room = await world.room(ada)

    refused = await ada.phone.refusal("PUT", at_alias(alias), {"room_id": room})

    assert (refused.status, refused.errcode) == (status, errcode)
    await ada.phone.ask("PUT", at_alias("#Tèa/with-milk:localhost"), {"room_id": room})


async def test_names_of_other_servers_lead_nowhere(world: World) -> None:
    ada = await world.person("ada")

    for method, path in (
        ("GET", at_alias("#tea:elsewhere.example")),
        ("DELETE", at_alias("#tea:elsewhere.example")),
        ("POST", f"{V3}/join/{quote('#tea:elsewhere.example')}?via=elsewhere.example"),
        ("POST", f"{V3}/knock/{quote('#tea:elsewhere.example')}"),
    ):
        refused = await ada.phone.refusal(method, path)
        assert (refused.status, refused.errcode) == (404, "M_NOT_FOUND")


async def test_only_who_is_in_a_room_names_it_or_hears_its_names(world: World) -> None:
    ada, mallory = await world.person("ada"), await world.person("mallory")
    room = await world.room(ada, mallory)
    await mallory.phone.leaves(room)

    for nowhere in (room, "!" + "a" * 43):
        refused = await mallory.phone.refusal(
            "PUT", at_alias("#mine:localhost"), {"room_id": nowhere}
        )
        assert (refused.status, refused.errcode) == (403, "M_FORBIDDEN")
        refused = await mallory.phone.refusal("GET", at_room(nowhere, "aliases"))
        assert (refused.status, refused.errcode) == (403, "M_FORBIDDEN")
    visible = {"history_visibility": "world_readable"}
    await ada.phone.sets(room, "m.room.history_visibility", visible)
    assert await names_of(mallory.phone, room) == []


async def test_whoever_gave_a_name_takes_it_and_so_does_who_runs_the_room(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    mallory = await world.person("mallory")
    room = await world.room(ada, boris, mallory)
    for alias in ("#one:localhost", "#two:localhost"):
        await boris.phone.ask("PUT", at_alias(alias), {"room_id": room})

    refused = await mallory.phone.refusal("DELETE", at_alias("#one:localhost"))
    assert (refused.status, refused.errcode) == (403, "M_FORBIDDEN")
    await boris.phone.ask("DELETE", at_alias("#one:localhost"))
    await ada.phone.ask("DELETE", at_alias("#two:localhost"))

    assert await names_of(ada.phone, room) == []
    refused = await ada.phone.refusal("DELETE", at_alias("#two:localhost"))
    assert (refused.status, refused.errcode) == (404, "M_NOT_FOUND")


async def test_a_room_shows_only_names_that_lead_to_it(world: World) -> None:
    ada = await world.person("ada")
    room, other = await world.room(ada), await world.room(ada)
    path = at_room(room, "state", "m.room.canonical_alias", "")
    await ada.phone.ask("PUT", at_alias("#tea:localhost"), {"room_id": room})
    await ada.phone.ask("PUT", at_alias("#coffee:localhost"), {"room_id": other})

    bad: list[tuple[Json, str]] = [
        ({"alias": "#coffee:localhost"}, "M_BAD_ALIAS"),
        ({"alias": "#nothing:localhost"}, "M_BAD_ALIAS"),
        ({"alias": "#tea:localhost", "alt_aliases": ["#coffee:localhost"]}, "M_BAD_ALIAS"),
        ({"alias": "#tea:elsewhere.example"}, "M_BAD_ALIAS"),
        ({"alias": "tea"}, "M_INVALID_PARAM"),
        ({"alias": 5}, "M_INVALID_PARAM"),
        ({"alt_aliases": "#tea:localhost"}, "M_INVALID_PARAM"),
        ({"alt_aliases": [None]}, "M_INVALID_PARAM"),
    ]
    for content, errcode in bad:
        refused = await ada.phone.refusal("PUT", path, content)
        assert (refused.status, refused.errcode) == (400, errcode), content
    good: list[Json] = [
        {"alias": "#tea:localhost", "alt_aliases": ["#tea:localhost"]},
        {"alias": "", "alt_aliases": []},
        {"alias": None},
        {},
    ]
    for content in good:
        await ada.phone.ask("PUT", path, content)


async def test_a_name_that_was_taken_away_is_shown_no_more(world: World) -> None:
    ada = await world.person("ada")
    room = await world.room(ada)
    for alias in ("#tea:localhost", "#chai:localhost"):
        await ada.phone.ask("PUT", at_alias(alias), {"room_id": room})
    shown = {"alias": "#tea:localhost", "alt_aliases": ["#chai:localhost", "#tea:localhost"]}
    await ada.phone.sets(room, "m.room.canonical_alias", shown)

    await ada.phone.ask("DELETE", at_alias("#tea:localhost"))

    path = at_room(room, "state", "m.room.canonical_alias", "")
    assert await ada.phone.ask("GET", path) == {"alt_aliases": ["#chai:localhost"]}


async def test_a_new_room_has_the_name_that_it_was_given(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")

    room = await ada.phone.creates(room_alias_name="tea", preset="public_chat")

    content = await ada.phone.ask("GET", at_room(room, "state", "m.room.canonical_alias", ""))
    assert content == {"alias": "#tea:localhost"}
    _, found = await world.request("GET", at_alias("#tea:localhost"))
    assert found["room_id"] == room
    refused = await boris.phone.refusal("POST", f"{V3}/createRoom", {"room_alias_name": "tea"})
    assert (refused.status, refused.errcode) == (400, "M_ROOM_IN_USE")
    assert (await boris.phone.ask("GET", f"{V3}/joined_rooms"))["joined_rooms"] == []


async def test_a_room_that_cannot_begin_leaves_its_name_free(world: World) -> None:
    ada = await world.person("ada")
    impossible = {"power_level_content_override": {"users_default": "much"}}

    refused = await ada.phone.refusal(
        "POST", f"{V3}/createRoom", {"room_alias_name": "tea", **impossible}
    )
    assert refused.status == 400
    for alias in ("#tea:localhost", "#other:localhost"):
        given = {"type": "m.room.canonical_alias", "content": {"alias": alias}}
        refused = await ada.phone.refusal(
            "POST", f"{V3}/createRoom", {"room_alias_name": "x", "initial_state": [given]}
        )
        assert refused.errcode == "M_BAD_ALIAS"

    for name in ("tea", "x"):
        await ada.phone.creates(room_alias_name=name)


async def test_rooms_alike_in_all_but_the_name_are_two_rooms(world: World) -> None:
    ada = await world.person("ada")

    rooms = await asyncio.gather(*(ada.phone.creates(room_alias_name=f"n{n}") for n in range(8)))

    assert len(set(rooms)) == 8
    for n, room in enumerate(rooms):
        _, found = await world.request("GET", at_alias(f"#n{n}:localhost"))
        assert found["room_id"] == room
