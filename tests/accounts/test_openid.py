"""OpenID tokens: another service learns who somebody is, and gets nothing else."""

import base64

import pytest

from posthouse.accounts.openid import LIFETIME_S, OpenIdTokens
from posthouse.http import Caller
from posthouse.matrix import DeviceId, UnknownToken, UserId
from posthouse.std.clock import SystemClock
from tests.world import PASSWORD, V3, Device, Person, World

USERINFO = "/_matrix/federation/v1/openid/userinfo"


async def asks(device: Device) -> str:
    path = f"{V3}/user/{device.user_id}/openid/request_token"
    return str((await device.ask("POST", path, {}))["access_token"])


async def test_a_service_learns_whose_token_it_was_given(world: World) -> None:
    ada = await world.person("ada")
    path = f"{V3}/user/{ada.user_id}/openid/request_token"

    given = await ada.phone.ask("POST", path, {})

    assert given == {
        "access_token": given["access_token"],
        "token_type": "Bearer",
        "matrix_server_name": "localhost",
        "expires_in": LIFETIME_S,
    }
    for _ in range(2):
        answer = await world.request("GET", USERINFO, access_token=given["access_token"])
        assert answer == (200, {"sub": ada.user_id})


async def test_nobody_gets_a_token_of_somebody_else(world: World) -> None:
    ada, mallory = await world.person("ada"), await world.person("mallory")

    path = f"{V3}/user/{ada.user_id}/openid/request_token"

    assert (await mallory.phone.refusal("POST", path, {})).errcode == "M_FORBIDDEN"
    assert (await world.request("POST", path))[1]["errcode"] == "M_MISSING_TOKEN"


async def test_it_opens_nothing_and_no_access_token_stands_for_it(world: World) -> None:
    ada = await world.person("ada")
    token = await asks(ada.phone)

    status, answer = await world.request("GET", f"{V3}/account/whoami", token=token)
    assert (status, answer["errcode"]) == (401, "M_UNKNOWN_TOKEN")
    for wrong in (ada.phone.token, token + "A", token[:-2], "pho_", "pho_%%%", "", "x" * 9_000):
        status, answer = await world.request("GET", USERINFO, access_token=wrong)
        assert status == 401, wrong
        assert answer["errcode"] in ("M_UNKNOWN_TOKEN", "M_MISSING_TOKEN")


async def test_a_token_says_nothing_that_was_not_signed(world: World) -> None:
    mallory = await world.person("mallory")
    raw = bytearray(base64.urlsafe_b64decode((await asks(mallory.phone)).removeprefix("pho_")))

    for index in range(len(raw)):
        forged = bytearray(raw)
        forged[index] ^= 1
        token = "pho_" + base64.urlsafe_b64encode(forged).decode()
        with pytest.raises(UnknownToken):
            await world.services.accounts.openid.owner_of(token)


async def test_it_ends_with_its_sign_in(world: World) -> None:
    ada = await world.person("ada")
    laptop = await world.another_device(ada)
    of_laptop, of_phone = await asks(laptop), await asks(ada.phone)

    await laptop.ask("POST", f"{V3}/logout", {})

    assert (await world.request("GET", USERINFO, access_token=of_laptop))[0] == 401
    assert (await world.request("GET", USERINFO, access_token=of_phone))[0] == 200
    await world.restart()
    assert (await world.request("GET", USERINFO, access_token=of_phone))[0] == 200
    await world.services.accounts.deactivate(caller(ada.phone).user_id, erase=False)
    assert (await world.request("GET", USERINFO, access_token=of_phone))[0] == 401


async def test_it_is_good_for_an_hour(world: World) -> None:
    ada = await world.person("ada")
    clock = LaterClock()
    tokens = OpenIdTokens(b"key", world.here.user_streams, clock)
    token = tokens.issue(caller(ada.phone))

    clock.later_ms = LIFETIME_S * 1000 - 60_000
    assert await tokens.owner_of(token) == ada.user_id
    clock.later_ms = LIFETIME_S * 1000
    with pytest.raises(UnknownToken):
        await tokens.owner_of(token)


class LaterClock(SystemClock):
    """The machine's clock, and what a test adds."""

    later_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.later_ms


def caller(device: Device) -> Caller:
    return Caller(UserId(device.user_id), DeviceId(device.device_id), b"")


async def test_who_is_signed_in_where_is_told_to_operators_and_to_oneself(world: World) -> None:
    ada, mallory = await world.person("ada"), await world.person("mallory")
    laptop = await world.another_device(ada)
    path = f"{V3}/admin/whois/{ada.user_id}"

    own = await ada.phone.ask("GET", path)
    assert own["user_id"] == ada.user_id
    assert own["devices"].keys() == {ada.phone.device_id, laptop.device_id}
    (session,) = own["devices"][laptop.device_id]["sessions"]
    assert session["connections"][0]["ip"] == "127.0.0.1"
    assert session["connections"][0]["last_seen"] > 0
    for person in ("@ada:localhost", "@nobody:localhost"):
        refused = await mallory.phone.refusal("GET", f"{V3}/admin/whois/{person}")
        assert refused.errcode == "M_FORBIDDEN"
    await world.services.accounts.create_user("olga", PASSWORD, admin=True)
    olga = await world.another_device(Person("@olga:localhost", laptop, "olga"))
    assert await olga.ask("GET", path) == own
    unknown = await olga.refusal("GET", f"{V3}/admin/whois/@nobody:localhost")
    assert unknown.errcode == "M_NOT_FOUND"
