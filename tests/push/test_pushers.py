"""Pushers over HTTP: set, listed, and ended with what they belong to."""

import asyncio
from typing import Any

import msgspec
import pytest

from posthouse.matrix import UserId
from posthouse.push import PushSettings
from tests.databases import Place
from tests.world import PASSWORD, V3, Device, Json, World, settings_for

SET = f"{V3}/pushers/set"
URL = "https://push.example.org/_matrix/push/v1/notify"


def pusher(pushkey: str = "key", **changes: Any) -> Json:
    """As Element X sets it, but for what a test changes."""
    return {
        "app_id": "io.element.android",
        "pushkey": pushkey,
        "kind": "http",
        "app_display_name": "Element",
        "device_display_name": "Phone",
        "lang": "en",
        "data": {"url": URL, "format": "event_id_only", "default_payload": {"cs": "x"}},
        **changes,
    }


async def pushkeys(device: Device) -> list[str]:
    found = (await device.ask("GET", f"{V3}/pushers"))["pushers"]
    return [one["pushkey"] for one in found]


async def test_a_pusher_is_shown_as_it_was_set(world: World) -> None:
    ada = await world.person("ada")

    await ada.phone.ask("POST", SET, pusher(append=False))
    await ada.phone.ask("POST", SET, pusher("other", profile_tag="tag"))
    await ada.phone.ask("POST", SET, pusher(lang="eo"))

    laptop = await world.another_device(ada)
    assert (await laptop.ask("GET", f"{V3}/pushers"))["pushers"] == [
        pusher(lang="eo"),
        pusher("other", profile_tag="tag"),
    ]


async def test_it_is_removed_by_its_address(world: World) -> None:
    ada = (await world.person("ada")).phone
    await ada.ask("POST", SET, pusher("one"))
    await ada.ask("POST", SET, pusher("two"))

    for _ in range(2):
        gone = {"app_id": "io.element.android", "pushkey": "one", "kind": None}
        await ada.ask("POST", SET, gone)

    assert await pushkeys(ada) == ["two"]


async def test_it_ends_with_the_sign_in_that_set_it(world: World) -> None:
    """And one that a new session of the same device set, stays."""
    ada = await world.person("ada")
    laptop = await world.another_device(ada)
    await ada.phone.ask("POST", SET, pusher("phone"))
    await laptop.ask("POST", SET, pusher("laptop"))

    await laptop.ask("POST", f"{V3}/logout", {})
    body = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": "ada"},
        "password": PASSWORD,
        "device_id": laptop.device_id,
    }
    _, again = await world.request("POST", f"{V3}/login", body)
    laptop = Device(world, ada.user_id, again["device_id"], again["access_token"])
    await laptop.ask("POST", SET, pusher("anew"))
    await world.services.settled()

    assert await pushkeys(ada.phone) == ["anew", "phone"]


async def test_it_ends_with_the_account(world: World) -> None:
    ada = await world.person("ada")
    await ada.phone.ask("POST", SET, pusher())

    await world.services.accounts.deactivate(UserId(ada.user_id), erase=False)
    await world.services.settled()

    assert await world.services.pushers.of(UserId(ada.user_id)) == []


async def test_a_phone_that_changed_hands_tells_its_new_owner_alone(world: World) -> None:
    ada, boris, olga = [(await world.person(name)).phone for name in ("ada", "boris", "olga")]
    await ada.ask("POST", SET, pusher())
    await ada.ask("POST", SET, pusher("tablet"))

    await boris.ask("POST", SET, pusher(append=True))
    assert await pushkeys(ada) == ["key", "tablet"]
    await olga.ask("POST", SET, pusher())

    assert await pushkeys(ada) == ["tablet"]
    assert await pushkeys(boris) == []
    assert await pushkeys(olga) == ["key"]


async def test_of_two_who_claim_a_phone_at_once_one_has_it(world: World) -> None:
    people = [(await world.person(name)).phone for name in ("ada", "boris", "olga", "mallory")]

    for _ in range(5):
        await asyncio.gather(*(one.ask("POST", SET, pusher()) for one in people))

        assert sorted([await pushkeys(one) for one in people], key=len) == [[], [], [], ["key"]]


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [
        ({"lang": None}, "M_MISSING_PARAM"),
        ({"data": None}, "M_MISSING_PARAM"),
        ({"data": {}}, "M_MISSING_PARAM"),
        ({"app_display_name": None}, "M_MISSING_PARAM"),
        ({"kind": "email"}, "M_INVALID_PARAM"),
        ({"kind": 1}, "M_BAD_JSON"),
        ({"app_id": ""}, "M_INVALID_PARAM"),
        ({"app_id": "x" * 65}, "M_INVALID_PARAM"),
        ({"pushkey": "ä" * 257}, "M_INVALID_PARAM"),
        ({"pushkey": "a\0"}, "M_BAD_JSON"),
        ({"lang": "x" * 513}, "M_INVALID_PARAM"),
        ({"data": {"url": URL.replace("https", "http")}}, "M_INVALID_PARAM"),
        ({"data": {"url": "https://push.example.org/other"}}, "M_INVALID_PARAM"),
        ({"data": {"url": "https:///_matrix/push/v1/notify"}}, "M_INVALID_PARAM"),
        ({"data": {"url": "https://[/_matrix/push/v1/notify"}}, "M_INVALID_PARAM"),
        ({"data": {"url": "https://a:b/_matrix/push/v1/notify"}}, "M_INVALID_PARAM"),
        ({"data": {"url": 7}}, "M_INVALID_PARAM"),
        ({"data": {"url": URL, "format": 7}}, "M_INVALID_PARAM"),
        ({"data": {"url": URL, "a": 1.5}}, "M_BAD_JSON"),
        ({"data": {"url": URL, "a": "x" * 20_000}}, "M_TOO_LARGE"),
    ],
)
async def test_what_no_pusher_can_be_is_refused(world: World, changes: Json, errcode: str) -> None:
    mallory = (await world.person("mallory")).phone

    assert (await mallory.refusal("POST", SET, pusher(**changes))).errcode == errcode
    assert await pushkeys(mallory) == []


async def test_nobody_has_more_pushers_than_a_person_may(place: Place) -> None:
    settings = msgspec.structs.replace(settings_for(place), push=PushSettings(pushers_max=2))
    world = World(place, settings)
    await world.start()
    mallory = (await world.person("mallory")).phone

    await mallory.ask("POST", SET, pusher("one"))
    await mallory.ask("POST", SET, pusher("two"))
    refused = await mallory.refusal("POST", SET, pusher("three"))
    await mallory.ask("POST", SET, pusher("two", lang="eo"))

    assert (refused.status, refused.errcode) == (403, "M_USER_LIMIT_EXCEEDED")
    assert await pushkeys(mallory) == ["one", "two"]
    await world.stop()
