"""Cross-signing: who may publish which key, which signatures count, and who sees them."""

from typing import Any

import pytest

from posthouse.accounts import AuthData, AuthenticationNeeded
from posthouse.devices.errors import NoMasterKey, NotSignedByMaster
from posthouse.devices.model import Usage
from posthouse.matrix import BadJson, InvalidParam, UserId, sign_json
from tests.devices.office import PASSWORD, Json, Office, Phone, key_pair


async def seen(viewer: Phone, of: Phone, member: str) -> Any:
    """What a person's query shows of another's, None where it shows nothing."""
    return (await viewer.asks_for(of.user_id))[member].get(of.user_id)


def signers(key: Json, user: UserId) -> set[str]:
    return set(key.get("signatures", {}).get(user, {}))


# -- keys ----------------------------------------------------------------------------------------


async def test_the_first_keys_need_no_password(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")

    await ada.cross_signs()

    assert await seen(boris, ada, "master_keys") == ada.cross_signing_key(Usage.MASTER)
    assert await seen(boris, ada, "self_signing_keys") == ada.cross_signing_key(Usage.SELF_SIGNING)
    assert office.key_changes(ada.user_id) == ["cross-signing"]


async def test_the_user_signing_key_is_its_owner_s_alone(office: Office) -> None:
    """Invariant 5."""
    ada, boris = await office.phone("ada"), await office.phone("boris")
    await ada.cross_signs()

    assert await seen(ada, ada, "user_signing_keys") == ada.cross_signing_key(Usage.USER_SIGNING)
    assert await seen(boris, ada, "user_signing_keys") is None


async def test_the_same_keys_again_pass_and_change_nothing(office: Office) -> None:
    ada = await office.phone("ada")
    await ada.cross_signs()

    await ada.cross_signs()
    await ada.cross_signs(Usage.MASTER)

    assert office.key_changes(ada.user_id) == ["cross-signing"]


async def test_other_keys_need_the_password(office: Office) -> None:
    ada = await office.phone("ada")
    await ada.cross_signs()

    with pytest.raises(AuthenticationNeeded) as asked:
        await ada.cross_signs(name="second")
    assert await seen(ada, ada, "master_keys") == ada.cross_signing_key(Usage.MASTER)

    session = asked.value.session
    with pytest.raises(AuthenticationNeeded):
        await ada.cross_signs(name="second", auth=proof("wrong", session))
    with pytest.raises(AuthenticationNeeded):
        await ada.cross_signs(name="third", auth=proof(PASSWORD, session))
    await ada.cross_signs(name="second", auth=proof(PASSWORD, session))

    second = ada.cross_signing_key(Usage.MASTER, name="second")
    assert await seen(ada, ada, "master_keys") == second
    assert office.key_changes(ada.user_id) == ["cross-signing", "cross-signing"]


async def test_a_new_master_key_takes_the_old_ones_with_it(office: Office) -> None:
    """What the old master key signed vouches for nothing under the new one."""
    ada = await office.phone("ada")
    await ada.publishes()
    await ada.cross_signs()
    await ada.uploads_signatures(own_device(ada))

    await ada.cross_signs(Usage.MASTER, name="second", auth=proof(PASSWORD))

    assert await seen(ada, ada, "self_signing_keys") is None
    assert await seen(ada, ada, "user_signing_keys") is None
    device = (await seen(ada, ada, "device_keys"))["PHONE"]
    assert signers(device, ada.user_id) == {"ed25519:PHONE"}


async def test_a_change_of_the_user_signing_key_is_not_told_to_others(office: Office) -> None:
    ada = await office.phone("ada")
    await ada.cross_signs()
    other = key_pair("other user-signing key").public_key
    value = {
        "user_id": ada.user_id,
        "usage": ["user_signing"],
        "keys": {f"ed25519:{other}": other},
    }
    signed = sign_json(value, ada.user_id, ada.cross_signing(Usage.MASTER))

    await ada.cross_signs(Usage.USER_SIGNING, user_signing_key=signed, auth=proof(PASSWORD))

    assert office.key_changes(ada.user_id) == ["cross-signing", "user-signing"]


async def test_keys_must_be_signed_by_the_master_key(office: Office) -> None:
    ada = await office.phone("ada")
    foreign = ada.cross_signing_key(Usage.SELF_SIGNING, name="second")

    with pytest.raises(NoMasterKey):
        await ada.cross_signs(Usage.SELF_SIGNING)
    with pytest.raises(NotSignedByMaster):
        await ada.cross_signs(Usage.MASTER, Usage.SELF_SIGNING, self_signing_key=foreign)

    assert await seen(ada, ada, "master_keys") is None


async def test_nobody_publishes_a_key_of_somebody_else_or_of_another_shape(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    key = ada.cross_signing_key(Usage.MASTER)

    for refused in (boris.cross_signing_key(Usage.MASTER), {**key, "usage": ["self_signing"]}):
        with pytest.raises(InvalidParam):
            await ada.cross_signs(Usage.MASTER, master_key=refused)
    for malformed in ({}, {"ed25519:a": "b"}, {"ed25519:a": "a"}, {**key["keys"], "x:y": "z"}):
        with pytest.raises(BadJson):
            await ada.cross_signs(Usage.MASTER, master_key={**key, "keys": malformed})


async def test_a_deactivated_person_leaves_no_keys(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    await ada.cross_signs()
    assert await seen(boris, ada, "master_keys") is not None

    await office.accounts.deactivate(ada.user_id, erase=False)
    await office.settles()

    assert await seen(boris, ada, "master_keys") is None


# -- signatures ----------------------------------------------------------------------------------


def proof(password: str, session: str | None = None) -> AuthData:
    return AuthData(type="m.login.password", password=password, session=session)


def own_device(phone: Phone, *, key: Any = None) -> Json:
    """The device signed by its owner's self-signing key, or by `key`."""
    signer = key or phone.cross_signing(Usage.SELF_SIGNING)
    signed = sign_json(phone.device_keys(), phone.user_id, signer)
    return {phone.user_id: {phone.device_id: signed}}


def master_of(owner: Phone, by: Phone, key: Any) -> Json:
    signed = sign_json(owner.cross_signing_key(Usage.MASTER), by.user_id, key)
    return {owner.user_id: {owner.cross_signing(Usage.MASTER).public_key: signed}}


async def test_everybody_sees_that_a_device_was_signed_by_its_owner(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    await ada.publishes()
    await ada.cross_signs()

    assert await ada.uploads_signatures(own_device(ada)) == {}

    device = (await seen(boris, ada, "device_keys"))["PHONE"]
    self_signing = ada.cross_signing(Usage.SELF_SIGNING).key_id
    assert signers(device, ada.user_id) == {"ed25519:PHONE", self_signing}
    assert office.key_changes(ada.user_id) == ["device:PHONE", "cross-signing", "device:PHONE"]


async def test_the_same_signature_again_is_no_change(office: Office) -> None:
    ada = await office.phone("ada")
    await ada.publishes()
    await ada.cross_signs()
    await ada.uploads_signatures(own_device(ada))
    changes = office.key_changes(ada.user_id)

    await ada.uploads_signatures(own_device(ada))

    assert office.key_changes(ada.user_id) == changes


async def test_a_device_signs_its_owner_s_master_key_for_all_to_see(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    await ada.publishes()
    await ada.cross_signs()

    assert await ada.uploads_signatures(master_of(ada, ada, ada.key)) == {}

    assert signers(await seen(boris, ada, "master_keys"), ada.user_id) == {"ed25519:PHONE"}


async def test_only_the_signer_sees_what_they_signed_of_others(office: Office) -> None:
    """Invariant 5: it would tell who knows whom."""
    ada, boris, mallory = [await office.phone(name) for name in ("ada", "boris", "mallory")]
    await ada.cross_signs()
    await boris.cross_signs()
    before = office.streams.head_of(ada.user_id)

    user_signing = ada.cross_signing(Usage.USER_SIGNING)
    assert await ada.uploads_signatures(master_of(boris, ada, user_signing)) == {}

    assert signers(await seen(ada, boris, "master_keys"), ada.user_id) == {user_signing.key_id}
    for other in (boris, mallory):
        assert signers(await seen(other, boris, "master_keys"), ada.user_id) == set()
    assert office.key_changes(boris.user_id) == ["cross-signing"]
    assert office.key_changes(ada.user_id)[-1] == f"signed:{boris.user_id}"
    after = office.streams.head_of(ada.user_id)
    assert await office.devices.own_device_changes(ada.user_id, before, after) == {boris.user_id}


async def test_a_wrong_signature_is_named_and_the_others_are_taken(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    laptop = await office.phone("ada", "LAPTOP")
    await ada.publishes()
    await laptop.publishes()
    await ada.cross_signs()
    signed = own_device(ada)
    name = ada.cross_signing(Usage.SELF_SIGNING).key_id
    wrong = own_device(laptop)[ada.user_id]["LAPTOP"]
    wrong["signatures"][ada.user_id][name] = signed[ada.user_id]["PHONE"]["signatures"][
        ada.user_id
    ][name]
    signed[ada.user_id]["LAPTOP"] = wrong

    failures = await ada.uploads_signatures(signed)

    assert failures == {ada.user_id: {"LAPTOP": "M_INVALID_SIGNATURE"}}
    devices = await seen(boris, ada, "device_keys")
    assert name in signers(devices["PHONE"], ada.user_id)
    assert name not in signers(devices["LAPTOP"], ada.user_id)


async def test_what_was_signed_must_be_what_is_stored(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    await ada.publishes()
    await ada.cross_signs()
    self_signing = ada.cross_signing(Usage.SELF_SIGNING)
    other = sign_json(ada.device_keys(algorithms=["other"]), ada.user_id, self_signing)

    failures = await ada.uploads_signatures(
        {ada.user_id: {"PHONE": other, "NONE": other}, boris.user_id: {"PHONE": other}}
    )

    assert failures == {
        ada.user_id: {"PHONE": "M_INVALID_PARAM", "NONE": "M_NOT_FOUND"},
        boris.user_id: {"PHONE": "M_NOT_FOUND"},
    }


async def test_only_the_right_key_may_sign(office: Office) -> None:
    """A device can't vouch for a device, nor a user-signing key, nor somebody else's key."""
    ada, mallory = await office.phone("ada"), await office.phone("mallory")
    await ada.publishes()
    await ada.cross_signs()
    await mallory.cross_signs()

    for key in (ada.cross_signing(Usage.USER_SIGNING), ada.cross_signing(Usage.MASTER)):
        assert await ada.uploads_signatures(own_device(ada, key=key)) == {
            ada.user_id: {"PHONE": "M_INVALID_SIGNATURE"}
        }
    assert await mallory.uploads_signatures(own_device(ada)) == {
        ada.user_id: {"PHONE": "M_NOT_FOUND"}
    }
    assert await mallory.uploads_signatures(
        master_of(ada, mallory, mallory.cross_signing(Usage.SELF_SIGNING))
    ) == {ada.user_id: {ada.cross_signing(Usage.MASTER).public_key: "M_INVALID_SIGNATURE"}}


async def test_a_replaced_device_is_not_signed_any_more(office: Office) -> None:
    ada = await office.phone("ada")
    await ada.publishes()
    await ada.cross_signs()
    await ada.uploads_signatures(own_device(ada))

    await ada.uploads(device_keys=ada.device_keys(algorithms=["other"]))

    device = (await seen(ada, ada, "device_keys"))["PHONE"]
    assert signers(device, ada.user_id) == {"ed25519:PHONE"}
