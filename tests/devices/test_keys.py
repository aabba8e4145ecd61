"""Device keys: published, looked up, and gone with their device."""

import pytest

from posthouse.devices import ForgetSignedOut
from posthouse.devices.errors import KeyTooLarge, NotYourDevice, SignedOut
from posthouse.devices.model import Usage
from posthouse.matrix import BadJson, DeviceId, Refusal, UserId
from posthouse.streams import EntryKind
from tests.devices.office import SERVER, Office, one_time_keys


async def test_what_a_device_uploads_is_what_others_get(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    keys = ada.device_keys(**{"org.example.extra": {"kept": True}})

    await ada.uploads(device_keys=keys)

    found = (await boris.asks_for(ada.user_id))["device_keys"][ada.user_id][ada.device_id]
    assert found.pop("unsigned") == {"device_display_name": "PHONE of somebody"}
    assert found == keys


async def test_a_query_can_name_devices(office: Office) -> None:
    phone, laptop = await office.phone("ada"), await office.phone("ada", "LAPTOP")
    await phone.publishes()
    await laptop.publishes()

    one = await phone.asks_for(phone.user_id, devices=[laptop.device_id])
    unknown = await phone.asks_for(phone.user_id, devices=[DeviceId("NONE")])

    assert list(one["device_keys"][phone.user_id]) == ["LAPTOP"]
    assert unknown["device_keys"][phone.user_id] == {}


async def test_people_of_other_servers_and_nobody_are_left_out(office: Office) -> None:
    ada = await office.phone("ada")
    stranger, nobody = UserId("@x:other.example"), UserId(f"@nobody:{SERVER}")

    found = await ada.asks_for(stranger, nobody)

    assert found["device_keys"] == {}
    assert found["failures"] == {"other.example": {}}


async def test_the_same_keys_again_are_no_change(office: Office) -> None:
    ada = await office.phone("ada")

    await ada.publishes()
    await ada.publishes()

    assert office.key_changes(ada.user_id) == ["device:PHONE"]


async def test_other_keys_replace_the_first_and_are_a_change(office: Office) -> None:
    ada = await office.phone("ada")
    await ada.publishes()

    await ada.uploads(device_keys=ada.device_keys(algorithms=["other"]))

    found = (await ada.asks_for(ada.user_id))["device_keys"][ada.user_id]["PHONE"]
    assert found["algorithms"] == ["other"]
    assert office.key_changes(ada.user_id) == ["device:PHONE", "device:PHONE"]


async def test_nobody_uploads_keys_for_another_device_or_person(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    laptop = await office.phone("ada", "LAPTOP")

    for foreign in (boris, laptop):
        with pytest.raises(NotYourDevice):
            await ada.uploads(device_keys=foreign.device_keys())

    assert office.key_changes(ada.user_id) == []


async def test_a_signed_out_device_vanishes_at_once(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    await ada.publishes()
    assert (await boris.asks_for(ada.user_id))["device_keys"][ada.user_id]
    office.forgetting.close()

    await ada.signs_out()

    found = await boris.asks_for(ada.user_id)
    assert not found["device_keys"].get(ada.user_id)


async def test_a_sign_out_tells_others_and_leaves_nothing_for_the_next_session(
    office: Office,
) -> None:
    ada = await office.phone("ada")
    await ada.publishes()

    await ada.signs_out()
    await office.settles()
    again = await office.signs_in(ada.user_id, ada.device_id)

    assert office.key_changes(ada.user_id) == ["device:PHONE", "device:PHONE"]
    assert (await again.asks_for(ada.user_id))["device_keys"][ada.user_id] == {}


async def test_a_late_sign_out_spares_the_session_that_came_after_it(office: Office) -> None:
    """Invariant 4: what a sign-out takes away is what was there before it."""
    ada, boris = await office.phone("ada"), await office.phone("boris")
    await ada.uploads(device_keys=ada.device_keys(), one_time_keys=one_time_keys("old"))
    await boris.sends({ada.user_id: {"*": {"for": "the old session"}}})
    office.forgetting.close()
    await ada.signs_out()
    signed_out = next(e for e in office.heard if e.kind is EntryKind.SIGNED_OUT)

    again = await office.signs_in(ada.user_id, ada.device_id)
    await again.uploads(
        device_keys=ada.device_keys(algorithms=["new"]), one_time_keys=one_time_keys("new")
    )
    await boris.sends({ada.user_id: {"*": {"for": "the new session"}}})
    await ForgetSignedOut(office.devices, office.backups, office.dehydrated).handle([signed_out])

    found = (await boris.asks_for(ada.user_id))["device_keys"][ada.user_id]["PHONE"]
    assert found["algorithms"] == ["new"]
    assert [await boris.claims_one(again) for _ in range(2)] == ["signed_curve25519:new", None]
    assert await again.received() == [{"for": "the new session"}]


async def test_a_device_that_was_signed_out_meanwhile_stores_nothing(office: Office) -> None:
    ada = await office.phone("ada")
    await ada.signs_out()

    with pytest.raises(SignedOut):
        await ada.publishes()


async def test_a_device_cannot_bear_the_name_of_a_cross_signing_key(office: Office) -> None:
    """They share one namespace; accounts keeps devices out of the keys' part of it."""
    ada = await office.phone("ada")

    with pytest.raises(Refusal, match="name of a key"):
        await office.signs_in(ada.user_id, ada.cross_signing(Usage.MASTER).public_key)


async def test_keys_of_another_shape_are_refused(office: Office) -> None:
    ada = await office.phone("ada")

    for spoilt in (
        {"algorithms": "m.olm"},
        {"keys": ["ed25519"]},
        {"keys": {"ed25519:PHONE": 1}},
        {"signatures": {"@ada:example.org": "x"}},
    ):
        with pytest.raises(BadJson):
            await ada.uploads(device_keys={**ada.device_keys(), **spoilt})

    assert office.key_changes(ada.user_id) == []


async def test_keys_have_a_bound(office: Office) -> None:
    ada = await office.phone("ada")

    with pytest.raises(KeyTooLarge):
        await ada.uploads(device_keys=ada.device_keys(extra="x" * 40_000))


async def test_own_changes_are_told_to_own_devices(office: Office) -> None:
    ada = await office.phone("ada")
    before = office.streams.head_of(ada.user_id)

    await ada.publishes()

    after = office.streams.head_of(ada.user_id)
    changed = await office.devices.own_device_changes(ada.user_id, before, after)
    assert changed == {ada.user_id}
    assert await office.devices.own_device_changes(ada.user_id, after, after) == set()
