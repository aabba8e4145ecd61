"""What the live path holds and builds is bounded, whatever people send and ask for."""

import asyncio
from typing import Any

import orjson
import pytest

from posthouse.sync import fragments
from tests.databases import Place
from tests.sync.polls import poll
from tests.world import V3, World, world_at


async def test_fragments_are_bounded_by_their_bytes(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fragments, "FRAGMENTS_BYTES_MAX", 100_000)
    async with world_at(place) as world:
        ada, boris = await world.person("ada"), await world.person("boris")
        room = await world.room(ada, boris)
        await boris.phone.syncs()
        await boris.phone.syncs()

        for _ in range(8):
            await ada.phone.says(room, "x" * 30_000)
            assert len(await boris.phone.hears(room)) == 1

        assert 0 < world.services.sync.fragments.size <= 100_000


async def test_a_live_answer_has_a_bound_whatever_limit_a_filter_names(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris)
    wanted = orjson.dumps({"room": {"timeline": {"limit": 1_000_000}}}).decode()
    await boris.phone.syncs(filter=wanted)
    await boris.phone.syncs(filter=wanted)

    await asyncio.gather(*(ada.phone.says(room, f"{n}") for n in range(520)))
    answer = await boris.phone.syncs(filter=wanted)

    timeline = answer["rooms"]["join"][room]["timeline"]
    assert len(timeline["events"]) == 500
    assert timeline["limited"]


async def test_typing_in_a_room_that_a_filter_leaves_out_wakes_nobody(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    kept, left_out = await world.room(ada, boris), await world.room(ada, boris)
    wanted = orjson.dumps({"room": {"not_rooms": [left_out]}}).decode()
    await boris.phone.syncs(filter=wanted)

    async with asyncio.TaskGroup() as group:
        waiting = poll(world, group, boris.phone, timeout=30_000, filter=wanted)
        for room in (left_out, kept):
            path = f"{V3}/rooms/{room}/typing/{ada.user_id}"
            await ada.phone.ask("PUT", path, {"typing": True, "timeout": 30_000})
        answer = await waiting.answered()

    assert list(answer["rooms"]["join"]) == [kept]


async def test_a_refused_send_costs_no_commit(place: Place) -> None:
    """Whoever may not write to a room can't make the disk work for it either."""
    async with world_at(place) as world:
        ada, boris = await world.person("ada"), await world.person("boris")
        room = await world.room(ada, boris, power_level_content_override={"events_default": 50})
        database: Any = world.here.database
        await boris.phone.refusal("PUT", f"{V3}/rooms/{room}/send/m.room.message/a", {"body": "a"})
        before = database.statements

        for n in range(5):
            path = f"{V3}/rooms/{room}/send/m.room.message/{n}"
            refusal = await boris.phone.refusal("PUT", path, {"body": "b"})
            assert refusal.errcode == "M_FORBIDDEN"

        await ada.phone.says(room, "hello")
        after_one_commit = database.statements - before
        await ada.phone.says(room, "hello again")
        assert after_one_commit == database.statements - before - after_one_commit
