"""One-time keys: each is given once, whatever the race; the fallback key when none is left."""

import asyncio

import pytest

from posthouse.devices import empty_one_time_keys
from posthouse.devices.errors import KeyChanged, TooManyKeys
from posthouse.devices.model import KeyCounts
from posthouse.devices.rules import KEYS_PER_ALGORITHM_MAX
from posthouse.devices.to_device import REMEMBERED_MS
from posthouse.matrix import BadJson, InvalidParam
from posthouse.storage import Owner
from tests.devices.office import Office, Phone, one_time_keys


def fallback(name: str) -> dict[str, object]:
    return {f"signed_curve25519:{name}": {"key": name, "fallback": True, "signatures": {}}}


async def counts(phone: Phone) -> KeyCounts:
    return await phone.office.devices.key_counts(phone.user_id, phone.device_id)


async def test_a_race_gives_each_key_to_one(office: Office) -> None:
    """Invariant 1: thirty claims at once, twenty keys."""
    ada, boris = await office.phone("ada"), await office.phone("boris")
    await ada.uploads(one_time_keys=one_time_keys(*map(str, range(20))))

    given = await asyncio.gather(*(boris.claims_one(ada) for _ in range(30)))

    keys = [key for key in given if key is not None]
    assert len(keys) == 20
    assert len(set(keys)) == 20


async def test_keys_are_given_in_the_order_of_their_upload(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    for name in ("c", "a", "b"):
        await ada.uploads(one_time_keys=one_time_keys(name))

    given = [await boris.claims_one(ada) for _ in range(3)]

    assert given == [f"signed_curve25519:{name}" for name in ("c", "a", "b")]


async def test_a_repeated_upload_does_not_bring_back_what_was_given(office: Office) -> None:
    """The answer to an upload is lost, somebody claims, the client uploads again."""
    ada, boris = await office.phone("ada"), await office.phone("boris")
    await ada.uploads(one_time_keys=one_time_keys("a", "b"))
    given = await boris.claims_one(ada)

    again = await ada.uploads(one_time_keys=one_time_keys("a", "b"))

    assert again == {"signed_curve25519": 1}
    assert {given, await boris.claims_one(ada)} == set(one_time_keys("a", "b"))
    assert await boris.claims_one(ada) is None


async def test_an_id_stands_for_one_key(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    await ada.uploads(one_time_keys=one_time_keys("a"))
    other = {"signed_curve25519:a": {"key": "another", "signatures": {}}}

    with pytest.raises(KeyChanged):
        await ada.uploads(one_time_keys=other | one_time_keys("b"))
    await boris.claims_one(ada)
    with pytest.raises(KeyChanged):
        await ada.uploads(one_time_keys=other)

    assert (await counts(ada)).one_time == {"signed_curve25519": 0}, "b went in all the same"


async def test_the_fallback_key_is_given_when_no_other_is_left(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    await ada.uploads(one_time_keys=one_time_keys("a"), fallback_keys=fallback("f"))

    given = [await boris.claims_one(ada) for _ in range(3)]

    assert given == ["signed_curve25519:a", "signed_curve25519:f", "signed_curve25519:f"]


async def test_a_device_learns_that_its_fallback_key_was_used(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    await ada.uploads(fallback_keys=fallback("f"))
    assert (await counts(ada)).unused_fallback == ["signed_curve25519"]

    await boris.claims_one(ada)
    assert (await counts(ada)).unused_fallback == []

    await ada.uploads(fallback_keys=fallback("f"))
    assert (await counts(ada)).unused_fallback == [], "the same key again is as used as before"

    await ada.uploads(fallback_keys=fallback("g"))
    assert (await counts(ada)).unused_fallback == ["signed_curve25519"]
    assert await boris.claims_one(ada) == "signed_curve25519:g"


async def test_counts_follow_uploads_and_claims(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    assert (await counts(ada)).one_time == {"signed_curve25519": 0}

    await ada.uploads(one_time_keys=one_time_keys("a", "b") | {"curve25519:c": "plain"})
    assert (await counts(ada)).one_time == {"signed_curve25519": 2, "curve25519": 1}

    await boris.claims_one(ada)
    assert (await counts(ada)).one_time == {"signed_curve25519": 1, "curve25519": 1}
    assert (await counts(ada)).fragment == (
        b'"device_one_time_keys_count":{"signed_curve25519":1,"curve25519":1},'
        b'"device_unused_fallback_key_types":[]'
    )


async def test_a_claim_wakes_the_device_that_is_to_refill(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    await ada.uploads(one_time_keys=one_time_keys("a"))
    office.heard.clear()

    await boris.claims_one(ada)

    assert [(e.kind.name, e.user_id, e.device_id) for e in office.heard] == [
        ("ONE_TIME_KEYS", ada.user_id, ada.device_id)
    ]


async def test_one_claim_serves_people_of_several_streams(office: Office) -> None:
    people = [await office.phone(f"person{n}") for n in range(6)]
    assert len({office.streams.stream_of(p.user_id) for p in people}) == 2
    for person in people[:5]:
        await person.uploads(one_time_keys=one_time_keys("a"))

    found = await people[0].claims(*people)

    assert set(found["one_time_keys"]) == {person.user_id for person in people[:5]}
    assert found["failures"] == {}


async def test_keys_of_a_signed_out_device_are_not_given(office: Office) -> None:
    """Invariant 4, before anything was forgotten."""
    ada, boris = await office.phone("ada"), await office.phone("boris")
    await ada.uploads(one_time_keys=one_time_keys("a"), fallback_keys=fallback("f"))
    office.forgetting.close()

    await ada.signs_out()

    assert await boris.claims_one(ada) is None
    again = await office.signs_in(ada.user_id, ada.device_id)
    assert (await counts(again)).one_time == {"signed_curve25519": 1}, "it was forgotten already"


async def test_a_new_session_starts_without_keys(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    await ada.uploads(one_time_keys=one_time_keys("a"), fallback_keys=fallback("f"))

    await ada.signs_out()
    await office.settles()
    again = await office.signs_in(ada.user_id, ada.device_id)

    assert await boris.claims_one(again) is None


async def test_a_device_keeps_a_bounded_number_of_keys(office: Office) -> None:
    ada = await office.phone("ada")
    await ada.uploads(one_time_keys=one_time_keys(*map(str, range(KEYS_PER_ALGORITHM_MAX))))

    with pytest.raises(TooManyKeys):
        await ada.uploads(one_time_keys=one_time_keys("more"))
    with pytest.raises(TooManyKeys):
        await ada.uploads(fallback_keys={f"algorithm{n}:f": {"key": "f"} for n in range(9)})


async def test_malformed_keys_are_refused(office: Office) -> None:
    ada = await office.phone("ada")

    for keys in ({"nameless": "x"}, {":x": "x"}, {"a:": "x"}, {"a:b": 1}, {"a:b": {"no": "key"}}):
        with pytest.raises(BadJson):
            await ada.uploads(one_time_keys=keys)
    with pytest.raises(InvalidParam):
        await ada.uploads(fallback_keys={"a:1": "x", "a:2": "y"})


async def test_what_was_given_is_remembered_for_two_days(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    await ada.uploads(one_time_keys=one_time_keys("a"))
    await boris.claims_one(ada)

    office.clock.ms += REMEMBERED_MS
    assert await office.to_device.sweep() == 0
    office.clock.ms += 1
    assert await office.to_device.sweep() == 1
    assert await office.to_device.sweep() == 0


async def test_a_new_generation_gives_none_of_the_old_keys(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    await ada.uploads(one_time_keys=one_time_keys("a"))

    async with office.database.transaction(of=Owner.USER) as tx:
        await empty_one_time_keys(tx)

    assert await boris.claims_one(ada) is None
