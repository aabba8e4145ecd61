"""Who may have an account, and under which name."""

import asyncio

import pytest

from posthouse.accounts import AuthData, AuthenticationNeeded, SignIn
from posthouse.accounts.errors import PasswordMissing, UserInUse, WeakPassword
from posthouse.accounts.model import DeviceWish
from posthouse.matrix import ErrCode, InvalidUsername, Refusal, UserId
from tests.accounts.conftest import SECRET, Office

DUMMY = AuthData(type="m.login.dummy")


async def _register(
    office: Office, name: str | None, auth: AuthData | None, password: str | None = SECRET
) -> UserId | SignIn:
    return await office.accounts.register(
        name, password, DeviceWish(), auth=auth, inhibit_login=False
    )


async def test_an_empty_request_learns_the_flows_and_its_session_serves(office: Office) -> None:
    with pytest.raises(AuthenticationNeeded) as asked:
        await _register(office, None, None, None)
    assert asked.value.body()["flows"] == [{"stages": ["m.login.dummy"]}]

    made = await _register(
        office, "ada", AuthData(type="m.login.dummy", session=asked.value.session)
    )

    assert isinstance(made, SignIn)
    assert (await office.caller(made)).user_id == "@ada:localhost"


async def test_a_session_for_one_name_does_not_serve_for_another(office: Office) -> None:
    with pytest.raises(AuthenticationNeeded) as asked:
        await _register(office, "ada", None)
    answer = AuthData(type="m.login.dummy", session=asked.value.session)
    with pytest.raises(AuthenticationNeeded):
        await _register(office, "boris", answer)
    assert isinstance(await _register(office, "ada", answer), SignIn)


async def test_a_name_is_taken_once_also_in_a_race_and_after_it_is_closed(office: Office) -> None:
    outcomes = await asyncio.gather(
        *(_register(office, name, DUMMY) for name in ("ada", "ADA", "ada")), return_exceptions=True
    )
    assert sum(isinstance(outcome, SignIn) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, UserInUse) for outcome in outcomes) == 2

    await office.accounts.deactivate(UserId("@ada:localhost"), erase=True)
    with pytest.raises(UserInUse):
        await _register(office, "ada", None)


@pytest.mark.parametrize("name", ["", "a b", "ö", "a:b", "a\x00", "x" * 250, "@ada:localhost"])
async def test_names_that_cannot_be_are_refused_before_any_question(
    office: Office, name: str
) -> None:
    with pytest.raises(InvalidUsername):
        await _register(office, name, None)
    with pytest.raises(InvalidUsername):
        await office.accounts.check_username(name)


async def test_a_weak_or_missing_password_makes_no_account(office: Office) -> None:
    for password in ("short", "x" * 2_000):
        with pytest.raises(WeakPassword):
            await _register(office, "ada", DUMMY, password)
    with pytest.raises(PasswordMissing):
        await _register(office, "ada", DUMMY, None)
    assert not await office.accounts.exists(UserId("@ada:localhost"))


async def test_inhibited_login_makes_no_device(office: Office) -> None:
    made = await office.accounts.register(
        "ada", SECRET, DeviceWish(), auth=DUMMY, inhibit_login=True
    )
    assert made == "@ada:localhost"
    assert await office.accounts.device_ids(UserId("@ada:localhost")) == []


async def test_who_gives_no_name_gets_one(office: Office) -> None:
    made = await _register(office, None, DUMMY)
    assert isinstance(made, SignIn)
    assert made.user_id.endswith(":localhost")


def _with(token: str) -> AuthData:
    return AuthData(type="m.login.registration_token", token=token)


async def test_a_token_lets_in_as_many_as_it_allows_also_in_a_race(invited_office: Office) -> None:
    office = invited_office
    await office.accounts.create_registration_token("twice", uses_allowed=2)

    outcomes = await asyncio.gather(
        *(_register(office, f"person{number}", _with("twice")) for number in range(6)),
        return_exceptions=True,
    )

    assert sum(isinstance(outcome, SignIn) for outcome in outcomes) == 2
    refused = [outcome for outcome in outcomes if isinstance(outcome, AuthenticationNeeded)]
    assert len(refused) == 4
    assert refused[0].body()["errcode"] == ErrCode.UNAUTHORIZED
    assert not await office.accounts.is_registration_token_valid("twice")


async def test_a_registration_that_fails_gives_its_use_back(invited_office: Office) -> None:
    office = invited_office
    await office.person("ada")
    await office.accounts.create_registration_token("once", uses_allowed=1)
    reservation = await office.accounts.invitations.reserve("once", UserId("@ada:localhost"))
    assert reservation is not None
    assert not await office.accounts.is_registration_token_valid("once")

    await office.accounts.invitations.end(reservation, "once", completed=False)

    assert await office.accounts.is_registration_token_valid("once")
    assert isinstance(await _register(office, "boris", _with("once")), SignIn)


async def test_a_use_left_behind_by_a_crash_is_settled_by_what_came_to_be(
    invited_office: Office,
) -> None:
    office = invited_office
    await office.accounts.create_registration_token("twice", uses_allowed=2)
    await office.accounts.invitations.reserve("twice", UserId("@ada:localhost"))
    await office.accounts.invitations.reserve("twice", UserId("@boris:localhost"))
    await office.person("ada")

    office.clock.ms += 601_000

    # Ada's account exists, so that her use counts; Boris never came to be.
    assert isinstance(await _register(office, "olga", _with("twice")), SignIn)
    with pytest.raises(AuthenticationNeeded):
        await _register(office, "mallory", _with("twice"))


async def test_an_expired_or_unknown_token_lets_nobody_in(invited_office: Office) -> None:
    office = invited_office
    await office.accounts.create_registration_token("old", expires_ms=office.clock.ms)
    for token in ("old", "never", "", "a\x00b"):
        with pytest.raises(AuthenticationNeeded):
            await _register(office, "ada", _with(token))
    with pytest.raises(AuthenticationNeeded):
        await _register(office, "ada", DUMMY)
    with pytest.raises(Refusal):
        await office.accounts.create_registration_token("not a token")
