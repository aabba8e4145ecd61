"""A device asleep on the server (MSC3814), over HTTP: put there, written to, woken."""

from typing import Any
from urllib.parse import quote

import pytest

from posthouse.devices import Usage
from posthouse.devices.errors import NoDehydratedDevice
from posthouse.devices.rules import parse_dehydrated_device, parse_upload
from posthouse.matrix import DeviceId, UserId, sign_json
from tests.devices.office import Office, key_pair, one_time_keys
from tests.world import V3, Device, Json, World

PATH = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device"
DATA: Json = {"algorithm": "org.matrix.msc3814.v2", "device_pickle": "encrypted", "nonce": "n"}


def asleep(name: str = "first") -> DeviceId:
    """The id of a device: 43 characters of base64, of which some need escaping in a path."""
    return DeviceId("/+" + key_pair(name).public_key[2:])


def upload(user_id: str, name: str = "first", **keys: Any) -> Json:
    """A dehydrated device as a client uploads it."""
    device_id = asleep(name)
    key = key_pair(name, device_id)
    device_keys = {
        "user_id": user_id,
        "device_id": device_id,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
        "keys": {f"ed25519:{device_id}": key.public_key},
        "dehydrated": True,
        **keys,
    }
    return {
        "device_id": device_id,
        "device_data": DATA,
        "device_keys": sign_json(device_keys, user_id, key),
        "one_time_keys": one_time_keys(f"{name}1"),
        "fallback_keys": one_time_keys(f"{name}2"),
        "initial_device_display_name": "Asleep",
    }


def events_of(name: str = "first") -> str:
    return f"{PATH}/{quote(asleep(name), safe='')}/events"


async def sends(sender: Device, user_id: str, device_id: str, *numbers: int) -> None:
    for number in numbers:
        body = {"messages": {user_id: {device_id: {"n": number}}}}
        await sender.ask("PUT", f"{V3}/sendToDevice/org.example/n{number}", body)


def numbers(page: Json) -> list[int]:
    return [event["content"]["n"] for event in page["events"]]


async def devices_seen(viewer: Device, user_id: str) -> Json:
    found = await viewer.ask("POST", f"{V3}/keys/query", {"device_keys": {user_id: []}})
    devices: Json = found["device_keys"][user_id]
    return devices


async def test_a_device_is_put_to_sleep_and_found_again(world: World) -> None:
    ada = await world.person("ada")
    missing = await ada.phone.refusal("GET", PATH)
    assert (missing.status, missing.errcode) == (404, "M_NOT_FOUND")

    answer = await ada.phone.ask("PUT", PATH, upload(ada.user_id))
    laptop = await world.another_device(ada)

    assert answer == {"device_id": asleep()}
    assert await laptop.ask("GET", PATH) == {"device_id": asleep(), "device_data": DATA}


async def test_others_see_it_flagged_and_nobody_is_signed_in_on_it(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    await ada.phone.ask("PUT", PATH, upload(ada.user_id))

    keys = (await devices_seen(boris.phone, ada.user_id))[asleep()]
    assert keys["dehydrated"] is True
    assert keys["unsigned"] == {"device_display_name": "Asleep"}
    for viewer in (ada.phone, boris.phone):
        wanted = {"one_time_keys": {ada.user_id: {asleep(): "signed_curve25519"}}}
        claimed = (await viewer.ask("POST", f"{V3}/keys/claim", wanted))["one_time_keys"]
        assert len(claimed[ada.user_id][asleep()]) == 1
    listed = (await ada.phone.ask("GET", f"{V3}/devices"))["devices"]
    assert [device["device_id"] for device in listed] == [ada.phone.device_id]
    device = f"{V3}/devices/{quote(asleep(), safe='')}"
    assert (await ada.phone.refusal("GET", device)).status == 404


async def test_letters_wait_for_it_and_reading_deletes_none(world: World) -> None:
    """Newer clients ask with GET, older ones with POST; both walk the same pages."""
    ada, boris = await world.person("ada"), await world.person("boris")
    await ada.phone.ask("PUT", PATH, upload(ada.user_id))
    await sends(boris.phone, ada.user_id, asleep(), *range(150))
    laptop = await world.another_device(ada)
    await sends(boris.phone, ada.user_id, "*", 150)

    for _ in range(2):
        first = await laptop.ask("GET", events_of())
        second = await laptop.ask("GET", events_of(), None, from_=first["next_batch"])
        last = await laptop.ask("GET", events_of(), None, from_=second["next_batch"])
        assert numbers(first) + numbers(second) == list(range(151))
        assert numbers(last) == []
    older = await laptop.ask("POST", events_of(), {})
    assert older == first
    following = await laptop.ask("POST", events_of(), {"next_batch": older["next_batch"]})
    assert numbers(following) == numbers(second)
    await sends(boris.phone, ada.user_id, asleep(), 151)
    news = await laptop.ask("GET", events_of(), None, from_=last["next_batch"])
    assert numbers(news) == [151]
    own = await laptop.syncs()
    assert [event["content"]["n"] for event in own["to_device"]["events"]] == [150]


async def test_the_same_device_again_keeps_its_letters(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    body = upload(ada.user_id)
    await ada.phone.ask("PUT", PATH, body)
    await sends(boris.phone, ada.user_id, asleep(), 1)
    other_data = {"algorithm": "x", "device_pickle": "anew"}

    await ada.phone.ask("PUT", PATH, body)
    await ada.phone.ask("PUT", PATH, {**body, "device_data": other_data})

    assert numbers(await ada.phone.ask("GET", events_of())) == [1]
    assert (await ada.phone.ask("GET", PATH))["device_data"] == other_data


async def test_another_device_takes_its_place_and_nothing_of_it_stays(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris)
    await ada.phone.sets(room, "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
    await ada.phone.ask("PUT", PATH, upload(ada.user_id))
    await sends(boris.phone, ada.user_id, asleep(), 1)
    await world.services.settled()
    await boris.phone.syncs()

    await ada.phone.ask("PUT", PATH, upload(ada.user_id, "second"))

    assert [*await devices_seen(boris.phone, ada.user_id)] == [asleep("second")]
    gone = await ada.phone.refusal("GET", events_of())
    assert (gone.status, gone.errcode) == (403, "M_FORBIDDEN")
    assert numbers(await ada.phone.ask("GET", events_of("second"))) == []
    await world.services.settled()
    told = await boris.phone.syncs(wait_ms=10_000)
    assert told["device_lists"]["changed"] == [ada.user_id]
    # Not even under the old name do old keys or letters come back.
    await ada.phone.ask("PUT", PATH, upload(ada.user_id))
    assert numbers(await ada.phone.ask("GET", events_of())) == []


async def test_it_is_deleted_with_all_that_came_for_it(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    await ada.phone.ask("PUT", PATH, upload(ada.user_id))
    await sends(boris.phone, ada.user_id, asleep(), 1)

    assert await ada.phone.ask("DELETE", PATH) == {"device_id": asleep()}

    assert (await ada.phone.refusal("DELETE", PATH)).status == 404
    assert (await ada.phone.refusal("GET", PATH)).status == 404
    assert await devices_seen(boris.phone, ada.user_id) == {}
    wanted = {"one_time_keys": {ada.user_id: {asleep(): "signed_curve25519"}}}
    claimed = await boris.phone.ask("POST", f"{V3}/keys/claim", wanted)
    assert claimed["one_time_keys"] == {}
    await ada.phone.ask("PUT", PATH, upload(ada.user_id))
    assert numbers(await ada.phone.ask("GET", events_of())) == []


async def test_it_outlives_the_devices_that_made_it(world: World) -> None:
    ada, boris = await world.person("ada"), await world.person("boris")
    await ada.phone.ask("PUT", PATH, upload(ada.user_id))
    await ada.phone.ask("POST", f"{V3}/logout/all", {})
    await world.services.settled()
    await sends(boris.phone, ada.user_id, asleep(), 1)

    laptop = await world.another_device(ada)

    assert numbers(await laptop.ask("GET", events_of())) == [1]


async def test_nobody_else_reads_its_letters(world: World) -> None:
    ada, mallory = await world.person("ada"), await world.person("mallory")
    await ada.phone.ask("PUT", PATH, upload(ada.user_id))
    await sends(ada.phone, ada.user_id, asleep(), 1)
    await mallory.phone.ask("PUT", PATH, upload(mallory.user_id, "second"))

    assert (await mallory.phone.refusal("GET", events_of())).status == 403
    assert (await mallory.phone.refusal("POST", events_of(), {})).status == 403
    assert await mallory.phone.ask("DELETE", PATH) == {"device_id": asleep("second")}
    assert (await ada.phone.ask("GET", PATH))["device_id"] == asleep()


async def test_what_is_no_dehydrated_device_is_refused(world: World) -> None:
    mallory = (await world.person("mallory")).phone
    good = upload(mallory.user_id)
    session = {**upload(mallory.user_id, device_id="PHONE"), "device_id": "PHONE"}
    cross_signing = {
        "user_id": mallory.user_id,
        "usage": ["master"],
        "keys": {f"ed25519:{asleep()}": asleep()},
    }

    for body in (
        {},
        {**good, "device_keys": None},
        {**good, "device_data": "pickle"},
        {**good, "device_data": {}},
        {**good, "device_keys": {**good["device_keys"], "dehydrated": False}},
        {**good, "device_id": asleep("second")},
        upload("@ada:localhost"),
        session,
    ):
        assert (await mallory.refusal("PUT", PATH, body)).status == 400, body
    large = {**good, "device_data": {"algorithm": "a", "pickle": "x" * 70_000}}
    assert (await mallory.refusal("PUT", PATH, large)).errcode == "M_TOO_LARGE"
    await mallory.ask("PUT", PATH, good)
    for token in ("1", "d", "d01", "dx", "d-1", "d" + "9" * 19):
        refused = await mallory.refusal("GET", events_of(), None, from_=token)
        assert (refused.status, refused.errcode) == (400, "M_INVALID_PARAM"), token
    keys = {"master_key": cross_signing}
    refused = await mallory.refusal("POST", f"{V3}/keys/device_signing/upload", keys)
    assert refused.errcode == "M_INVALID_PARAM"


async def test_a_device_and_a_cross_signing_key_never_share_a_name(office: Office) -> None:
    ada = await office.phone("ada")
    await ada.cross_signs(Usage.MASTER)
    name = DeviceId(ada.cross_signing(Usage.MASTER).public_key)
    body = upload(ada.user_id, device_id=name)
    keys = parse_upload(
        ada.user_id, name, device_keys=body["device_keys"], one_time_keys=None, fallback_keys=None
    )
    device = parse_dehydrated_device(name, DATA, None, keys)

    with pytest.raises(Exception, match="name of a cross-signing key"):
        await office.dehydrated.put((ada.user_id, ada.device_id), device, keys)


async def test_a_closed_account_has_none(office: Office) -> None:
    ada = await office.phone("ada")
    user_id = UserId(ada.user_id)
    body = upload(user_id)
    keys = parse_upload(
        user_id, asleep(), device_keys=body["device_keys"], one_time_keys=None, fallback_keys=None
    )
    device = parse_dehydrated_device(asleep(), DATA, None, keys)
    await office.dehydrated.put((user_id, ada.device_id), device, keys)

    await office.accounts.deactivate(user_id, erase=False)
    await office.settles()

    with pytest.raises(NoDehydratedDevice):
        await office.dehydrated.of(user_id)
    assert (await ada.asks_for(user_id))["device_keys"] == {}


async def test_every_endpoint_wants_a_token(world: World) -> None:
    for method, path in (
        ("PUT", PATH),
        ("GET", PATH),
        ("DELETE", PATH),
        ("GET", events_of()),
        ("POST", events_of()),
    ):
        status, body = await world.request(method, path)
        assert (status, body["errcode"]) == (401, "M_MISSING_TOKEN"), (method, path)
