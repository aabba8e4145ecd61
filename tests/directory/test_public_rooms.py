"""The list of published rooms: who is in it, what it tells, how it is searched and paged."""

import asyncio

import pytest

from tests.directory.test_aliases import at_alias
from tests.rooms.walking import at_room
from tests.world import V3, Json, World

LIST = f"{V3}/publicRooms"


async def listed(world: World, **body: object) -> list[str]:
    """The names that a search of somebody's brings."""
    ada = await world.person("ada")
    await world.services.settled()
    answer = await ada.phone.ask("POST", LIST, body)
    assert answer["total_room_count_estimate"] == len(answer["chunk"])
    return [entry.get("name", "") for entry in answer["chunk"]]


def at_listing(room: str) -> str:
    return f"{V3}/directory/list/room/{room}"


async def test_the_list_shows_what_a_stranger_may_know(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(
        ada,
        boris,
        name="Tea",
        topic="Which?",
        visibility="public",
        room_alias_name="tea",
        creation_content={"type": "m.space"},
        initial_state=[{"type": "m.room.avatar", "content": {"url": "mxc://localhost/abc"}}],
    )
    await world.services.settled()

    status, answer = await world.request("GET", LIST)

    assert status == 200
    assert answer == {
        "chunk": [
            {
                "room_id": room,
                "name": "Tea",
                "topic": "Which?",
                "avatar_url": "mxc://localhost/abc",
                "canonical_alias": "#tea:localhost",
                "num_joined_members": 2,
                "world_readable": False,
                "guest_can_join": False,
                "join_rule": "public",
                "room_type": "m.space",
            }
        ],
        "total_room_count_estimate": 1,
    }


async def test_a_new_room_is_in_the_list_only_where_that_was_asked_for(world: World) -> None:
    ada = await world.person("ada")
    public = await ada.phone.creates(visibility="public", name="Open")
    private = await ada.phone.creates(preset="public_chat", name="Quiet")

    assert await listed(world) == ["Open"]
    for room, visibility in ((public, "public"), (private, "private"), ("!x:localhost", "private")):
        status, answer = await world.request("GET", at_listing(room))
        assert (status, answer) == (200, {"visibility": visibility})


async def test_whoever_may_name_a_room_publishes_it(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    mallory = await world.person("mallory")
    room = await world.room(ada, boris, name="Tea")

    for person, status in ((boris, 403), (mallory, 404)):
        for visibility in ("public", "private"):
            refused = await person.phone.refusal(
                "PUT", at_listing(room), {"visibility": visibility}
            )
            assert refused.status == status
    refused = await ada.phone.refusal("PUT", at_listing("!x:localhost"), {})
    assert (refused.status, refused.errcode) == (404, "M_NOT_FOUND")
    assert (await ada.phone.refusal("PUT", at_listing(room), {"visibility": "x"})).status == 400
    assert await listed(world) == []

    await ada.phone.ask("PUT", at_listing(room), {})
    assert await listed(world) == ["Tea"]
    await ada.phone.ask("PUT", at_listing(room), {"visibility": "private"})
    await ada.phone.ask("PUT", at_listing(room), {"visibility": "private"})
    assert await listed(world) == []


async def test_the_list_follows_the_room(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, visibility="public", name="Tea")

    named = await ada.phone.sets(room, "m.room.name", {"name": "Coffee"})
    await boris.phone.joins(room)
    await world.services.settled()
    _, answer = await world.request("GET", LIST)
    assert [(e["name"], e["num_joined_members"]) for e in answer["chunk"]] == [("Coffee", 2)]

    await ada.phone.redacts(room, named)
    assert await listed(world) == [""]
    assert await listed(world, filter={"generic_search_term": "coffee"}) == []


async def test_a_room_that_closes_itself_is_not_shown(world: World) -> None:
    ada = await world.person("ada")
    room = await world.room(ada, visibility="public", name="Tea")
    assert await listed(world) == ["Tea"]

    await ada.phone.sets(room, "m.room.join_rules", {"join_rule": "invite"})
    assert await listed(world) == []
    await ada.phone.sets(room, "m.room.join_rules", {"join_rule": "knock"})
    assert await listed(world) == ["Tea"]
    await ada.phone.leaves(room)
    assert await listed(world) == []


async def test_what_a_stop_kept_from_the_list_is_there_after_the_start(world: World) -> None:
    ada = await world.person("ada")
    room = await world.room(ada, visibility="public", name="Tea")
    await world.services.settled()

    # The change is committed; the server stops before its copy can be made for certain.
    await ada.phone.sets(room, "m.room.name", {"name": "Coffee"})
    await world.restart()

    assert await listed(world) == ["Coffee"]


async def test_a_search_finds_words_in_any_case_and_types(world: World) -> None:
    ada = await world.person("ada")
    await ada.phone.creates(visibility="public", name="Grüner TEE", topic="100% leaf_tea")
    await ada.phone.creates(visibility="public", name="Coffee", room_alias_name="bean")
    space = {"type": "m.space"}
    await ada.phone.creates(visibility="public", name="Drinks", creation_content=space)

    for term, found in (
        ("grüner tee", ["Grüner TEE"]),
        ("LEAF_", ["Grüner TEE"]),
        ("0%", ["Grüner TEE"]),
        ("#Bean:", ["Coffee"]),
        ("%", ["Grüner TEE"]),
        ("_tea", ["Grüner TEE"]),
        ("milk", []),
    ):
        assert await listed(world, filter={"generic_search_term": term}) == found, term
    everything = ["Coffee", "Drinks", "Grüner TEE"]
    for types, found in (
        (["m.space"], ["Drinks"]),
        ([None], ["Coffee", "Grüner TEE"]),
        ([None, "m.space"], everything),
        ([], []),
        (None, everything),
    ):
        assert sorted(await listed(world, filter={"room_types": types})) == found
    both = {"generic_search_term": "e", "room_types": ["m.space"]}
    assert await listed(world, filter=both) == []


async def test_the_list_is_walked_both_ways_the_largest_first(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    rooms = await asyncio.gather(
        *(ada.phone.creates(visibility="public", name=f"n{n}") for n in range(7))
    )
    await boris.phone.joins(rooms[3])
    await world.services.settled()
    expected = [rooms[3], *sorted(set(rooms) - {rooms[3]})]

    pages: list[Json] = []
    token = None
    while True:
        page = (await world.request("GET", LIST, limit=3, since=token))[1]
        pages.append(page)
        token = page.get("next_batch")
        if token is None:
            break

    assert [entry["room_id"] for page in pages for entry in page["chunk"]] == expected
    assert [len(page["chunk"]) for page in pages] == [3, 3, 1]
    assert ["prev_batch" in page for page in pages] == [False, True, True]
    assert {page["total_room_count_estimate"] for page in pages} == {7}

    second = (await world.request("GET", LIST, limit=3, since=pages[2]["prev_batch"]))[1]
    assert second["chunk"] == pages[1]["chunk"]
    first = (await world.request("GET", LIST, limit=3, since=second["prev_batch"]))[1]
    assert first["chunk"] == pages[0]["chunk"]
    assert "prev_batch" not in first
    again = (await world.request("GET", LIST, limit=3, since=first["next_batch"]))[1]
    assert again["chunk"] == pages[1]["chunk"]


async def test_another_servers_list_is_refused_and_not_empty(world: World) -> None:
    ada = await world.person("ada")
    await ada.phone.creates(visibility="public", name="Tea")

    for method in ("GET", "POST"):
        refused = await ada.phone.refusal(method, LIST, server="elsewhere.example")
        assert (refused.status, refused.errcode) == (404, "M_NOT_FOUND")
        assert len((await ada.phone.ask(method, LIST, server="localhost"))["chunk"]) == 1


@pytest.mark.parametrize("since", ["x", "WyJuIl0", "WyJuIiwtMSwiIl0", "bnVsbA", "a" * 600])
async def test_a_made_up_page_is_refused(world: World, since: str) -> None:
    ada = await world.person("ada")

    for method, where in (("GET", {"since": since}), ("POST", {})):
        refused = await ada.phone.refusal(method, LIST, {"since": since}, **where)
        assert (refused.status, refused.errcode) == (400, "M_INVALID_PARAM")
    too_long = {"filter": {"generic_search_term": "a" * 300}}
    assert (await ada.phone.refusal("POST", LIST, too_long)).status == 400


async def test_an_admin_takes_any_room_out_of_the_list_and_any_name_away(world: World) -> None:
    olga = await world.here.accounts.create_user("olga", "correct horse battery", admin=True)
    ada = await world.person("ada")
    await world.room(ada, visibility="public", name="Bad", room_alias_name="bad")
    _, answer = await world.request("GET", LIST)
    [entry] = answer["chunk"]
    body = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": olga},
        "password": "correct horse battery",
    }
    _, signed_in = await world.request("POST", f"{V3}/login", body)
    token = signed_in["access_token"]

    for method, path in (
        ("PUT", at_listing(entry["room_id"])),
        ("DELETE", at_alias("#bad:localhost")),
    ):
        status, _ = await world.request(method, path, {"visibility": "private"}, token=token)
        assert status == 200

    assert await listed(world) == []
    names = await ada.phone.ask("GET", at_room(entry["room_id"], "aliases"))
    assert names == {"aliases": []}
