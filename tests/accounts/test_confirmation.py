"""Proving again who one is, for one operation and no other."""

import pytest

from posthouse.accounts import AuthData, AuthenticationNeeded
from posthouse.matrix import ErrCode, MissingParam, UnknownToken
from tests.accounts.conftest import SECRET, Office, proof


async def _session(office: Office, name: str, operation: str, parameters: dict[str, str]) -> str:
    caller = await office.caller(await office.signs_in(name, device="PHONE"))
    with pytest.raises(AuthenticationNeeded) as asked:
        await office.accounts.confirm(caller, operation, parameters, None)
    return asked.value.session


async def test_a_first_question_has_flows_and_no_errcode(office: Office) -> None:
    await office.person("ada")
    caller = await office.caller(await office.signs_in("ada"))

    for auth in (None, AuthData()):
        with pytest.raises(AuthenticationNeeded) as asked:
            await office.accounts.confirm(caller, "delete device", {"device_id": "X"}, auth)
        body = asked.value.body()
        assert asked.value.status == 401
        assert body["flows"] == [{"stages": ["m.login.password"]}]
        assert body["completed"] == []
        assert "errcode" not in body
        assert body["session"]


async def test_a_wrong_password_is_told_and_may_be_tried_again(office: Office) -> None:
    await office.person("ada")
    caller = await office.caller(await office.signs_in("ada"))

    with pytest.raises(AuthenticationNeeded) as asked:
        await office.accounts.confirm(caller, "x", {"a": "b"}, proof("ada", "wrong horse"))
    assert asked.value.body()["errcode"] == ErrCode.FORBIDDEN
    await office.accounts.confirm(
        caller, "x", {"a": "b"}, proof("ada", session=asked.value.session)
    )


async def test_a_session_counts_for_what_it_was_opened_for_alone(office: Office) -> None:
    await office.person("ada")
    await office.person("mallory")
    session = await _session(office, "ada", "delete device", {"device_id": "OLD"})
    phone = await office.caller(await office.signs_in("ada", device="PHONE"))
    laptop = await office.caller(await office.signs_in("ada", device="LAPTOP"))
    mallory = await office.caller(await office.signs_in("mallory", device="PHONE"))

    await office.accounts.confirm(
        phone, "delete device", {"device_id": "OLD"}, proof("ada", session=session)
    )
    for caller, operation, device in (
        (phone, "delete device", "OTHER"),
        (phone, "deactivate", "OLD"),
        (laptop, "delete device", "OLD"),
        (mallory, "delete device", "OLD"),
    ):
        name = "mallory" if caller is mallory else "ada"
        with pytest.raises(AuthenticationNeeded) as asked:
            await office.accounts.confirm(
                caller, operation, {"device_id": device}, proof(name, session=session)
            )
        assert asked.value.body()["errcode"] == ErrCode.FORBIDDEN


@pytest.mark.parametrize("session", ["", "made up", "AAAA", "ü", "A" * 68])
async def test_a_made_up_session_proves_nothing(office: Office, session: str) -> None:
    await office.person("ada")
    caller = await office.caller(await office.signs_in("ada"))
    with pytest.raises(AuthenticationNeeded):
        await office.accounts.confirm(caller, "x", {"a": "b"}, proof("ada", session=session))


async def test_a_session_grows_old(office: Office) -> None:
    await office.person("ada")
    session = await _session(office, "ada", "x", {"a": "b"})
    office.clock.ms += 30 * 60_000
    caller = await office.caller(await office.signs_in("ada", device="PHONE"))
    with pytest.raises(AuthenticationNeeded):
        await office.accounts.confirm(caller, "x", {"a": "b"}, proof("ada", session=session))


async def test_somebody_elses_password_proves_nothing(office: Office) -> None:
    await office.person("ada")
    await office.person("mallory", "mallory's own")
    caller = await office.caller(await office.signs_in("ada"))
    for answer in (proof("mallory", "mallory's own"), proof("ada", "mallory's own")):
        with pytest.raises(AuthenticationNeeded):
            await office.accounts.confirm(caller, "x", {"a": "b"}, answer)


async def test_a_stage_that_was_not_offered_proves_nothing(office: Office) -> None:
    await office.person("ada")
    caller = await office.caller(await office.signs_in("ada"))
    for answer in (AuthData(type="m.login.dummy"), AuthData(type="m.login.sso")):
        with pytest.raises(AuthenticationNeeded):
            await office.accounts.confirm(caller, "x", {"a": "b"}, answer)
    with pytest.raises(MissingParam):
        await office.accounts.confirm(caller, "x", {"a": "b"}, AuthData(type="m.login.password"))


async def test_a_new_password_ends_the_other_sign_ins_and_the_old_password(office: Office) -> None:
    await office.person("ada")
    here = await office.signs_in("ada", device="HERE")
    there = await office.signs_in("ada", device="THERE", refresh=True)
    caller = await office.caller(here)
    await office.caller(there)

    await office.accounts.change_password(caller, "a brighter horse", logout_devices=True)

    assert (await office.caller(here)).device_id == "HERE"
    with pytest.raises(UnknownToken):
        await office.caller(there)
    with pytest.raises(AuthenticationNeeded):
        await office.accounts.confirm(caller, "x", {"a": "b"}, proof("ada", SECRET))
    await office.accounts.confirm(caller, "x", {"a": "b"}, proof("ada", "a brighter horse"))


async def test_a_new_password_may_spare_the_other_sign_ins(office: Office) -> None:
    await office.person("ada")
    caller = await office.caller(await office.signs_in("ada"))
    there = await office.signs_in("ada")

    await office.accounts.change_password(caller, "a brighter horse", logout_devices=False)

    assert (await office.caller(there)).device_id == there.device_id


async def test_the_operator_can_reset_a_password(office: Office) -> None:
    ada = await office.person("ada")
    there = await office.signs_in("ada")

    await office.accounts.reset_password(ada, "a brighter horse")

    with pytest.raises(UnknownToken):
        await office.caller(there)
    assert (await office.signs_in("ada", "a brighter horse")).user_id == ada
