"""Creating rooms: every preset in every version, all of it or nothing."""

import asyncio

import pytest

from tests.rooms.walking import at_room, problems, walk
from tests.world import V3, Device, Json, World

VERSIONS = ("10", "11", "12")


async def state_of(device: Device, room: str) -> dict[tuple[str, str], Json]:
    """The content of each key of a room's state."""
    events = await walk(device, room, "f")
    return {(e["type"], e["state_key"]): e["content"] for e in events if "state_key" in e}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("preset", "join_rule", "guests"),
    [
        ("private_chat", "invite", "can_join"),
        ("trusted_private_chat", "invite", "can_join"),
        ("public_chat", "public", "forbidden"),
    ],
)
async def test_a_preset_sets_what_the_specification_says(
    world: World, version: str, preset: str, join_rule: str, guests: str
) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")

    room = await ada.phone.creates(preset=preset, room_version=version, invite=[boris.user_id])

    state = await state_of(ada.phone, room)
    assert state["m.room.join_rules", ""] == {"join_rule": join_rule}
    assert state["m.room.history_visibility", ""] == {"history_visibility": "shared"}
    assert state["m.room.guest_access", ""] == {"guest_access": guests}
    create, levels = state["m.room.create", ""], state["m.room.power_levels", ""]
    assert create["room_version"] == version
    assert ("creator" in create) is (version == "10")
    peers = [boris.user_id] if preset == "trusted_private_chat" else []
    if version == "12":
        assert create.get("additional_creators", []) == peers
        assert levels["users"] == {}
        assert levels["events"]["m.room.tombstone"] > levels["state_default"]
        assert len(room) == 44
    else:
        assert levels["users"] == dict.fromkeys([ada.user_id, *peers], 100)
        assert room.endswith(":localhost")
    assert state["m.room.member", boris.user_id]["membership"] == "invite"


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_first_events_come_in_the_order_of_the_specification(
    world: World, version: str
) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")

    room = await ada.phone.creates(
        room_version=version,
        name="Tea",
        topic="every day at five",
        invite=[boris.user_id],
        is_direct=True,
        initial_state=[
            {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}},
            {"type": "org.example.cups", "state_key": "blue", "content": {"count": 2}},
            {"type": "m.room.join_rules", "content": {"join_rule": "knock"}},
        ],
    )

    events = await walk(ada.phone, room, "f")
    assert [event["type"] for event in events] == [
        "m.room.create",
        "m.room.member",
        "m.room.power_levels",
        "m.room.history_visibility",
        "m.room.guest_access",
        "m.room.encryption",
        "org.example.cups",
        "m.room.join_rules",
        "m.room.name",
        "m.room.topic",
        "m.room.member",
    ]
    assert events[-1]["content"] == {"membership": "invite", "is_direct": True}
    assert events[-2]["content"]["topic"] == "every day at five"
    assert "is_direct" not in events[1]["content"]


async def test_visibility_chooses_the_preset_where_none_is_named(world: World) -> None:
    ada = await world.person("ada")

    public = await state_of(ada.phone, await ada.phone.creates(visibility="public"))
    private = await state_of(ada.phone, await ada.phone.creates())

    assert public["m.room.join_rules", ""] == {"join_rule": "public"}
    assert private["m.room.join_rules", ""] == {"join_rule": "invite"}
    assert private["m.room.create", ""] == {"room_version": "12"}


async def test_what_a_client_says_of_creation_and_power_is_kept(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")

    room = await ada.phone.creates(
        room_version="11",
        creation_content={"type": "m.space", "m.federate": False, "room_version": "1"},
        power_level_content_override={
            "users": {ada.user_id: 100, boris.user_id: 50},
            "events": {"m.room.name": 0},
            "invite": 75,
        },
    )

    state = await state_of(ada.phone, room)
    assert state["m.room.create", ""] == {
        "type": "m.space",
        "m.federate": False,
        "room_version": "11",
    }
    levels = state["m.room.power_levels", ""]
    assert levels["users"] == {ada.user_id: 100, boris.user_id: 50}
    assert levels["events"]["m.room.name"] == 0
    assert levels["events"]["m.room.encryption"] == 100
    assert levels["invite"] == 75


IMPOSSIBLE: list[tuple[Json, int, str]] = [
    ({"room_version": "1"}, 400, "M_UNSUPPORTED_ROOM_VERSION"),
    ({"room_version": "nonsense"}, 400, "M_UNSUPPORTED_ROOM_VERSION"),
    ({"preset": "secret_chat"}, 400, "M_BAD_JSON"),
    ({"visibility": "hidden"}, 400, "M_BAD_JSON"),
    ({"name": 5}, 400, "M_BAD_JSON"),
    ({"name": "x" * 1_000}, 400, "M_BAD_JSON"),
    ({"invite": ["boris"]}, 400, "M_INVALID_PARAM"),
    ({"invite": ["@nobody:localhost"]}, 404, "M_NOT_FOUND"),
    ({"invite": ["@ada:elsewhere.example"]}, 403, "M_FORBIDDEN"),
    ({"invite": ["@ada:localhost"]}, 400, "M_INVALID_ROOM_STATE"),
    ({"invite_3pid": [{"medium": "email", "address": "b@x"}]}, 403, "M_THREEPID_DENIED"),
    ({"room_alias_name": "green tea"}, 400, "M_INVALID_PARAM"),
    ({"room_alias_name": "tea:elsewhere"}, 400, "M_INVALID_PARAM"),
    ({"initial_state": [{"type": "m.room.create", "content": {}}]}, 400, "M_INVALID_ROOM_STATE"),
    ({"initial_state": [{"type": "", "content": {}}]}, 400, "M_INVALID_PARAM"),
    (
        {"initial_state": [{"type": "a", "state_key": "x" * 256, "content": {}}]},
        400,
        "M_INVALID_PARAM",
    ),
    ({"initial_state": [{"type": "a"}]}, 400, "M_BAD_JSON"),
    ({"initial_state": [{"type": "a", "content": {"half": 0.5}}]}, 400, "M_BAD_JSON"),
    ({"initial_state": [{"type": "a", "content": {"x": "y" * 65_000}}]}, 413, "M_TOO_LARGE"),
    ({"creation_content": {"additional_creators": "ada"}}, 400, "M_BAD_JSON"),
    ({"creation_content": {"additional_creators": ["ada"]}}, 400, "M_BAD_JSON"),
    (
        {"initial_state": [{"type": "m.room.power_levels", "content": {"events": 5}}]},
        400,
        "M_INVALID_ROOM_STATE",
    ),
    ({"power_level_content_override": {"ban": "50"}}, 400, "M_INVALID_ROOM_STATE"),
    (
        {"power_level_content_override": {"users": {"@ada:localhost": 100}}},
        400,
        "M_INVALID_ROOM_STATE",
    ),
    (
        {"room_version": "11", "name": "x", "power_level_content_override": {"users": {}}},
        400,
        "M_INVALID_ROOM_STATE",
    ),
]


async def test_a_room_that_cannot_be_is_refused_whole(world: World) -> None:
    ada = await world.person("ada")
    await world.person("boris")

    for wish, status, errcode in IMPOSSIBLE:
        refused = await ada.phone.refusal("POST", f"{V3}/createRoom", wish)
        assert (refused.status, refused.errcode) == (status, errcode), (wish, refused.body)
    assert (await ada.phone.ask("GET", f"{V3}/joined_rooms"))["joined_rooms"] == []
    assert (await ada.phone.syncs()).get("rooms", {}) == {}

    room = await ada.phone.creates()
    assert (await ada.phone.ask("GET", f"{V3}/joined_rooms"))["joined_rooms"] == [room]


async def test_two_rooms_alike_made_at_once_are_two_rooms(world: World) -> None:
    ada = await world.person("ada")

    rooms = await asyncio.gather(*(ada.phone.creates(room_version="12") for _ in range(8)))

    assert len(set(rooms)) == 8
    assert await problems(world) == []


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_room_of_each_version_lives_through_a_conversation(
    world: World, version: str
) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris, room_version=version)
    said = await boris.phone.says(room, "hello")
    await ada.phone.sets(room, "m.room.name", {"name": "Tea"})
    await boris.phone.redacts(room, said)
    await ada.phone.bans(room, boris.user_id)

    await world.restart()

    state = await state_of(ada.phone, room)
    assert state["m.room.name", ""] == {"name": "Tea"}
    assert state["m.room.member", boris.user_id]["membership"] == "ban"
    assert await problems(world) == []
    assert (await ada.phone.ask("GET", at_room(room, "event", said)))["content"] == {}
