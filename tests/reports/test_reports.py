"""Reporting rooms, events and people: what is kept, and what nobody learns by it."""

from posthouse.reports import Report, read_reports
from tests.rooms.walking import at_room
from tests.world import V3, World


async def kept(world: World) -> list[Report]:
    return await read_reports(world.here.database, after_ms=0, limit=1_000)


async def test_reports_reach_the_operator(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris)
    event = await boris.phone.says(room, "rude")

    for path, body in (
        (at_room(room, "report", event), {"reason": "rude", "score": -100}),
        (at_room(room, "report"), {"reason": "loud"}),
        (f"{V3}/users/{boris.user_id}/report", {"reason": ""}),
    ):
        assert await ada.phone.ask("POST", path, body) == {}

    facts = {(r.reporter, r.room_id, r.event_id, r.user_id, r.reason) for r in await kept(world)}
    assert facts == {
        (ada.user_id, room, event, boris.user_id, "rude"),
        (ada.user_id, room, "", "", "loud"),
        (ada.user_id, "", "", boris.user_id, ""),
    }


async def test_reporting_again_replaces_the_reason(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")

    for reason in ("rude", "rude again"):
        body = {"reason": reason}
        await ada.phone.ask("POST", f"{V3}/users/{boris.user_id}/report", body)
        await boris.phone.ask("POST", f"{V3}/users/{ada.user_id}/report", body)

    assert {(r.reporter, r.reason) for r in await kept(world)} == {
        (ada.user_id, "rude again"),
        (boris.user_id, "rude again"),
    }


async def test_nobody_finds_out_by_reporting_what_there_is(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    mallory = await world.person("mallory")
    room = await world.room(ada, boris)
    event = await ada.phone.says(room, "secret")
    await boris.phone.leaves(room)
    after = await ada.phone.says(room, "more")
    nowhere, nothing = "!" + "a" * 43, "$" + "a" * 43

    for somewhere in (room, nowhere):
        told = await mallory.phone.ask("POST", at_room(somewhere, "report"), {"reason": "x"})
        assert told == {}
    answers = [
        (await person.phone.refusal("POST", at_room(where, "report", what), {"reason": "x"})).body
        for person, where, what in (
            (mallory, room, event),
            (mallory, room, nothing),
            (mallory, nowhere, event),
            (boris, room, event),
            (boris, room, after),
            (ada, room, nothing),
        )
    ]
    assert {answer["errcode"] for answer in answers} == {"M_NOT_FOUND"}
    assert len({answer["error"] for answer in answers}) == 1
    assert [report.room_id for report in await kept(world)] == [room]


async def test_what_is_no_report_is_refused(world: World) -> None:
    ada = await world.person("ada")
    room = await world.room(ada)

    for path, body, status in (
        (at_room(room, "report"), {}, 400),
        (at_room(room, "report"), {"reason": 5}, 400),
        (at_room(room, "report"), {"reason": "x" * 1_001}, 400),
        (at_room("room", "report"), {"reason": ""}, 400),
        (f"{V3}/users/@nobody:localhost/report", {"reason": ""}, 404),
        (f"{V3}/users/ada/report", {"reason": ""}, 400),
    ):
        assert (await ada.phone.refusal("POST", path, body)).status == status, path
    assert await kept(world) == []


async def test_a_persons_reports_are_bounded_by_day(world: World) -> None:
    ada = await world.person("ada")
    room = await world.room(ada)
    events = [await ada.phone.says(room, f"{n}") for n in range(101)]

    for event in events[:100]:
        await ada.phone.ask("POST", at_room(room, "report", event), {})
    refused = await ada.phone.refusal("POST", at_room(room, "report", events[100]), {})

    assert (refused.status, refused.errcode) == (429, "M_LIMIT_EXCEEDED")
    assert len(await kept(world)) == 100
