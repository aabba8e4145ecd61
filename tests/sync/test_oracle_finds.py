"""What random lives have found, one sentence each: see `tests/model`."""

from urllib.parse import quote

from tests.world import V3, Device, Json, World

ENCRYPTION = {"algorithm": "m.megolm.v1.aes-sha2"}


def section(answer: Json, kind: str, room: str) -> Json:
    found: Json = answer["rooms"][kind][room]
    return found


def types(events: list[Json]) -> set[str]:
    return {event["type"] for event in events}


async def redacts(device: Device, room: str, event_id: str, reason: str) -> str:
    path = f"{V3}/rooms/{quote(room)}/redact/{quote(event_id)}/t{len(reason)}"
    return str((await device.ask("PUT", path, {"reason": reason}))["event_id"])


async def test_who_joins_after_a_hidden_stretch_is_told_the_state_of_it(world: World) -> None:
    """The change of visibility is seen, what came after it isn't: the timeline begins anew."""
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await ada.phone.creates(preset="public_chat")
    await ada.phone.sets(room, "m.room.history_visibility", {"history_visibility": "joined"})
    await ada.phone.sets(room, "m.room.name", {"name": "hidden"})
    await boris.phone.joins(room)

    told = section(await boris.phone.syncs(since=None), "join", room)

    assert "m.room.name" in types(told["state"]["events"])
    assert types(told["timeline"]["events"]) == {"m.room.member"}


async def test_who_left_a_readable_room_hears_of_it_up_to_then(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris)
    await ada.phone.sets(
        room, "m.room.history_visibility", {"history_visibility": "world_readable"}
    )
    await boris.phone.syncs()
    await ada.phone.says(room, "before")
    await boris.phone.leaves(room)
    await ada.phone.says(room, "after")

    told = section(await boris.phone.syncs(), "leave", room)

    assert [e["content"].get("body", e["type"]) for e in told["timeline"]["events"]] == [
        "before",
        "m.room.member",
    ]


async def test_a_member_event_is_redacted_after_a_restart(world: World) -> None:
    """Whether it still stands must be read first: the batch isn't spoilt by it."""
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris)
    told = section(await ada.phone.syncs(), "join", room)["timeline"]["events"]
    join = next(event for event in told if event.get("state_key") == boris.user_id)
    await world.restart()

    await redacts(ada.phone, room, join["event_id"], "why")

    assert (await ada.phone.hears(room))[-1:] == [""]


async def test_an_invite_after_a_stay_names_whom_one_has_left(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris)
    await ada.phone.sets(room, "m.room.encryption", ENCRYPTION)
    await boris.phone.syncs()
    await boris.phone.leaves(room)
    await ada.phone.invites(room, boris.user_id)

    answer = await boris.phone.syncs()

    assert answer["device_lists"]["left"] == [ada.user_id]


async def test_who_came_after_one_left_is_named_nowhere(world: World) -> None:
    ada, boris, cyd = [await world.person(name) for name in ("ada", "boris", "cyd")]
    room = await world.room(ada, boris)
    await ada.phone.sets(room, "m.room.encryption", ENCRYPTION)
    await boris.phone.syncs()
    await boris.phone.leaves(room)
    await cyd.phone.joins(room)

    answer = await boris.phone.syncs()

    assert answer["device_lists"]["left"] == [ada.user_id]


async def test_devices_of_a_room_that_a_filter_hides_are_told_all_the_same(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada)
    await ada.phone.sets(room, "m.room.encryption", ENCRYPTION)
    await ada.phone.syncs()
    await boris.phone.joins(room)

    answer = await ada.phone.syncs(filter='{"room":{"rooms":[]}}')

    assert answer["device_lists"]["changed"] == [boris.user_id]
    assert "rooms" not in answer


async def test_the_reason_of_a_redaction_that_was_redacted_is_quoted_nowhere(world: World) -> None:
    ada = await world.person("ada")
    room = await world.room(ada)
    await ada.phone.syncs()
    said = await ada.phone.says(room, "one")
    redaction = await redacts(ada.phone, room, said, "unkind")
    await redacts(ada.phone, room, redaction, "kind")

    assert "unkind" not in str(await ada.phone.syncs())


async def test_state_after_a_timeline_names_each_key_once(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris)
    await boris.phone.syncs()
    await boris.phone.syncs()
    for name in ("one", "two"):
        await ada.phone.sets(room, "m.room.name", {"name": name})

    told = section(await boris.phone.syncs(use_state_after="true"), "join", room)

    assert [event["content"] for event in told["state_after"]["events"]] == [{"name": "two"}]
