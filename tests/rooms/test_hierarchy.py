"""Spaces: which rooms are in them, in which order, page by page, and for whom."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pytest

from tests.world import Device, Json, World

V1 = "/_matrix/client/v1"


def at_hierarchy(room: str) -> str:
    return f"{V1}/rooms/{quote(room)}/hierarchy"


async def tree(device: Device, space: str, **query: str | int | None) -> list[Json]:
    """All rooms of a space, page by page, in the order told."""
    told: list[Json] = []
    token: str | None = None
    for _ in range(100):
        page = await device.ask("GET", at_hierarchy(space), None, from_=token, **query)
        assert len(page["rooms"]) <= int(query.get("limit") or 1_000)
        told += page["rooms"]
        token = page.get("next_batch")
        if token is None:
            return told
    raise AssertionError("the tree has no end")


async def names(device: Device, space: str, **query: str | int | None) -> list[str]:
    return [entry.get("name", "") for entry in await tree(device, space, **query)]


class Garden:
    """Spaces and rooms of one person, by name."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.ids: dict[str, str] = {}

    async def plant(self, name: str, *, space: bool = False, **wish: Any) -> str:
        content = {"type": "m.space"} if space else {}
        wish.setdefault("preset", "public_chat")
        self.ids[name] = await self.device.creates(name=name, creation_content=content, **wish)
        return self.ids[name]

    async def put(self, parent: str, child: str, **content: Any) -> None:
        content = {"via": ["localhost"], **content}
        await self.device.sets(self.ids[parent], "m.space.child", content, self.ids[child])

    async def grow(self, parent: str, children: Sequence[str]) -> None:
        for child in children:
            # Two events of one millisecond stand in the order of their rooms' ids.
            await self.put(parent, child, order=child)


async def garden_of(world: World) -> Garden:
    """root: (a: (a1, a2), b, c: (c1: (d)))"""
    garden = Garden((await world.person("ada")).phone)
    for name in ("root", "a", "c", "c1"):
        await garden.plant(name, space=True)
    for name in ("a1", "a2", "b", "d"):
        await garden.plant(name)
    await garden.grow("root", "abc")
    await garden.grow("a", ["a1", "a2"])
    await garden.grow("c", ["c1"])
    await garden.grow("c1", "d")
    return garden


EVERYTHING = ["root", "a", "a1", "a2", "b", "c", "c1", "d"]


async def test_a_space_is_walked_depth_first(world: World) -> None:
    garden = await garden_of(world)
    boris = await world.person("boris")

    told = await tree(boris.phone, garden.ids["root"])

    assert [entry["name"] for entry in told] == EVERYTHING
    [root, a, a1, *_] = told
    assert (root["room_type"], root["room_version"], root["join_rule"]) == (
        "m.space",
        "12",
        "public",
    )
    assert "membership" not in root
    assert [child["state_key"] for child in a["children_state"]] == [
        garden.ids["a1"],
        garden.ids["a2"],
    ]
    child = root["children_state"][0]
    assert child.keys() == {"type", "state_key", "content", "sender", "origin_server_ts"}
    assert child["content"] == {"via": ["localhost"], "order": "a"}
    assert child["sender"] == "@ada:localhost"
    assert a1["children_state"] == []


@pytest.mark.parametrize("limit", [1, 2, 3, 8])
async def test_pages_together_are_the_whole(world: World, limit: int) -> None:
    garden = await garden_of(world)

    assert await names(garden.device, garden.ids["root"], limit=limit) == EVERYTHING


async def test_the_walk_goes_as_deep_as_is_wished(world: World) -> None:
    garden = await garden_of(world)
    root = garden.ids["root"]

    for limit in (1, None):
        for depth, found in (
            (0, ["root"]),
            (1, ["root", "a", "b", "c"]),
            (2, ["root", "a", "a1", "a2", "b", "c", "c1"]),
            (3, EVERYTHING),
            (99, EVERYTHING),
        ):
            assert await names(garden.device, root, max_depth=depth, limit=limit) == found


async def test_children_stand_in_their_order(world: World) -> None:
    garden = Garden((await world.person("ada")).phone)
    await garden.plant("root", space=True)
    given: dict[str, Any] = {
        "none": {},
        "b": {"order": "b"},
        "wrong": {"order": "ä"},
        "long": {"order": "a" * 51},
        "number": {"order": 1},
        "a": {"order": "a"},
        "space": {"order": " "},
        "gone": {"via": []},
        "twisted": {"via": "localhost"},
    }
    for name, content in given.items():
        await garden.plant(name)
        await garden.put("root", name, **content)

    [root, *_] = await tree(garden.device, garden.ids["root"])
    told = {child["state_key"]: child for child in root["children_state"]}
    without = sorted(
        ("none", "wrong", "long", "number"),
        key=lambda name: (told[garden.ids[name]]["origin_server_ts"], garden.ids[name]),
    )
    expected = ["root", "space", "a", "b", *without]
    for limit in (1, 50):
        assert await names(garden.device, garden.ids["root"], limit=limit) == expected


async def test_only_suggested_rooms_where_that_is_wished(world: World) -> None:
    garden = await garden_of(world)
    await garden.put("root", "c", suggested=True, order="c")
    await garden.put("root", "b", suggested="yes")
    await garden.put("c", "c1", suggested=True)

    told = await tree(garden.device, garden.ids["root"], suggested_only="true")

    assert [entry["name"] for entry in told] == ["root", "c", "c1"]
    assert [len(entry["children_state"]) for entry in told] == [1, 1, 0]


async def test_nobody_is_told_of_rooms_that_are_not_for_them(world: World) -> None:
    garden = await garden_of(world)
    boris, mallory = await world.person("boris"), await world.person("mallory")
    for name in ("b", "c"):
        await garden.device.sets(garden.ids[name], "m.room.join_rules", {"join_rule": "invite"})
    allow = [{"type": "m.room_membership", "room_id": garden.ids["a"]}]
    rule = {"join_rule": "restricted", "allow": allow}
    await garden.device.sets(garden.ids["a1"], "m.room.join_rules", rule)
    await boris.phone.joins(garden.ids["a"])
    await garden.device.invites(garden.ids["b"], boris.user_id)

    root = garden.ids["root"]
    for limit in (1, 50):
        assert await names(garden.device, root, limit=limit) == EVERYTHING
        assert await names(boris.phone, root, limit=limit) == ["root", "a", "a1", "a2", "b"]
        assert await names(mallory.phone, root, limit=limit) == ["root", "a", "a2"]
    told = await tree(boris.phone, root)
    assert told[2]["allowed_room_ids"] == [garden.ids["a"]]


async def test_a_space_that_may_not_be_known_is_as_no_space(world: World) -> None:
    garden = await garden_of(world)
    mallory = await world.person("mallory")
    await garden.device.sets(garden.ids["root"], "m.room.join_rules", {"join_rule": "invite"})

    hidden = await mallory.phone.refusal("GET", at_hierarchy(garden.ids["root"]))
    nothing = await mallory.phone.refusal("GET", at_hierarchy("!" + "a" * 43))

    assert (hidden.status, hidden.errcode) == (403, "M_FORBIDDEN")
    assert hidden.body == nothing.body
    # A page's token opens no door either.
    page = await garden.device.ask("GET", at_hierarchy(garden.ids["root"]), None, limit=1)
    token = page["next_batch"]
    again = await mallory.phone.refusal("GET", at_hierarchy(garden.ids["root"]), None, from_=token)
    assert again.body == nothing.body


async def test_a_circle_of_spaces_has_an_end(world: World) -> None:
    garden = await garden_of(world)
    await garden.put("c1", "root", order="1")
    await garden.put("c1", "c", order="2")
    await garden.put("a", "a", order="1")

    assert await names(garden.device, garden.ids["root"]) == EVERYTHING
    assert await names(garden.device, garden.ids["root"], limit=1) == EVERYTHING


async def test_a_page_goes_on_after_what_was_taken_away(world: World) -> None:
    garden = await garden_of(world)
    root = garden.ids["root"]
    page = await garden.device.ask("GET", at_hierarchy(root), None, limit=3)
    assert [entry["name"] for entry in page["rooms"]] == ["root", "a", "a1"]

    await garden.device.sets(garden.ids["a"], "m.space.child", {}, garden.ids["a1"])
    await garden.device.sets(root, "m.space.child", {}, garden.ids["b"])

    token = page["next_batch"]
    rest = await garden.device.ask("GET", at_hierarchy(root), None, from_=token)
    assert [entry["name"] for entry in rest["rooms"]] == ["a2", "c", "c1", "d"]


async def test_wishes_stay_the_same_from_page_to_page(world: World) -> None:
    garden = await garden_of(world)
    path = at_hierarchy(garden.ids["root"])
    token = (await garden.device.ask("GET", path, None, limit=1, max_depth=2))["next_batch"]

    await garden.device.ask("GET", path, None, from_=token, max_depth=2)
    wrong: list[dict[str, str | int]] = [
        {"from_": token},
        {"from_": token, "max_depth": 2, "suggested_only": "true"},
        {"from_": "x"},
        {"from_": "bnVsbA"},
        {"from_": "a" * 10_000},
        {"limit": 0},
        {"max_depth": -1},
        {"suggested_only": "maybe"},
    ]
    for query in wrong:
        refused = await garden.device.refusal("GET", path, None, **query)
        assert (refused.status, refused.errcode) == (400, "M_INVALID_PARAM"), query
