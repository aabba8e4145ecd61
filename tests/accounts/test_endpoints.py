"""The endpoints of accounts as a client meets them: over a socket, status and body."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

import posthouse.accounts.endpoints
from posthouse.accounts import Accounts
from posthouse.http import HttpSettings, LimitSettings, Route, Server, Site, collect, routes_of
from posthouse.std.clock import SystemClock
from tests.accounts.conftest import SECRET, Office

V3 = "/_matrix/client/v3"
Answer = tuple[int, Any]


class Client:
    """Somebody with an HTTP connection, and perhaps a token."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base
        self.token: str | None = None
        self.user_id = ""
        self.device_id = ""

    async def asks(self, method: str, path: str, body: Any = None, *, raw: bytes = b"") -> Answer:
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        content = {"json": body} if body is not None else {"data": raw}
        url = URL(self._base + path, encoded=True)
        async with self._session.request(method, url, headers=headers, **content) as answer:
            return answer.status, await answer.json()

    async def registers(self, name: str) -> None:
        status, body = await self.asks(
            "POST",
            f"{V3}/register",
            {"username": name, "password": SECRET, "auth": {"type": "m.login.dummy"}},
        )
        assert status == 200, body
        self._takes(body)

    async def signs_in(self, name: str, password: str = SECRET, **more: Any) -> Answer:
        status, body = await self.asks(
            "POST",
            f"{V3}/login",
            {
                "type": "m.login.password",
                "identifier": {"type": "m.id.user", "user": name},
                "password": password,
                **more,
            },
        )
        if status == 200:
            self._takes(body)
        return status, body

    def _takes(self, body: dict[str, str]) -> None:
        self.token = body["access_token"]
        self.user_id = body["user_id"]
        self.device_id = body["device_id"]

    def proof(self, session: str | None = None) -> dict[str, Any]:
        return {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": self.user_id},
            "password": SECRET,
            "session": session,
        }


class Counter:
    """A server on a free port, and clients of it."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base

    def client(self) -> Client:
        return Client(self._session, self._base)


async def _served(office: Office, *, limits: bool) -> AsyncIterator[Counter]:
    site = Site(
        collect(posthouse.accounts.endpoints),
        {Accounts: office.accounts},
        authenticator=office.accounts,
        settings=HttpSettings(listen=("127.0.0.1:0",)),
        limits=LimitSettings(enabled=limits),
        clock=SystemClock(),
    )
    server = Server(site, SystemClock())
    (address,) = await server.start()
    async with aiohttp.ClientSession() as session:
        yield Counter(session, f"http://{address}")
    await server.stop()


@pytest.fixture
async def counter(office: Office) -> AsyncIterator[Counter]:
    async for one in _served(office, limits=False):
        yield one


@pytest.fixture
async def limited_counter(office: Office) -> AsyncIterator[Counter]:
    async for one in _served(office, limits=True):
        yield one


@pytest.fixture
async def inviting_counter(invited_office: Office) -> AsyncIterator[Counter]:
    async for one in _served(invited_office, limits=False):
        yield one


async def test_from_registration_to_sign_out(counter: Counter) -> None:
    ada = counter.client()
    status, body = await ada.asks("POST", f"{V3}/register", {})
    assert status == 401
    assert body["flows"] == [{"stages": ["m.login.dummy"]}]
    assert "errcode" not in body

    await ada.registers("ada")
    assert await ada.asks("GET", f"{V3}/account/whoami") == (
        200,
        {"user_id": "@ada:localhost", "device_id": ada.device_id, "is_guest": False},
    )
    assert await ada.asks("POST", f"{V3}/logout") == (200, {})
    status, body = await ada.asks("GET", f"{V3}/account/whoami")
    assert (status, body["errcode"], body["soft_logout"]) == (401, "M_UNKNOWN_TOKEN", False)


async def test_signing_in_says_what_was_asked_and_no_more(counter: Counter) -> None:
    ada = counter.client()
    await ada.registers("ada")
    status, flows = await ada.asks("GET", f"{V3}/login")
    assert (status, flows) == (200, {"flows": [{"type": "m.login.password"}]})

    status, body = await ada.signs_in("ada", device_id="PHONE")
    assert (status, body["device_id"]) == (200, "PHONE")
    assert "refresh_token" not in body
    assert "expires_in_ms" not in body
    legacy = {"type": "m.login.password", "user": "ada", "password": SECRET}
    assert (await ada.asks("POST", f"{V3}/login", legacy))[0] == 200

    status, body = await ada.signs_in("ada", refresh_token=True)
    assert body["expires_in_ms"] == 3_600_000
    stranger = counter.client()
    status, fresh = await stranger.asks(
        "POST", f"{V3}/refresh", {"refresh_token": body["refresh_token"]}
    )
    assert status == 200
    assert set(fresh) == {"access_token", "refresh_token", "expires_in_ms"}


@pytest.mark.parametrize(
    ("body", "status", "errcode"),
    [
        ({}, 400, "M_BAD_JSON"),
        ({"type": "m.login.token", "token": "x"}, 400, "M_UNKNOWN"),
        ({"type": "m.login.password", "user": "ada"}, 400, "M_MISSING_PARAM"),
        ({"type": "m.login.password", "password": "x"}, 400, "M_MISSING_PARAM"),
        ({"type": "m.login.password", "user": "ada", "password": "wrong"}, 403, "M_FORBIDDEN"),
        ({"type": "m.login.password", "user": "eve", "password": "wrong"}, 403, "M_FORBIDDEN"),
        ({"type": "m.login.password", "user": 7, "password": "wrong"}, 400, "M_BAD_JSON"),
        (
            {
                "type": "m.login.password",
                "identifier": {"type": "m.id.thirdparty", "medium": "email"},
                "password": "x",
            },
            400,
            "M_UNKNOWN",
        ),
    ],
)
async def test_sign_ins_that_fail_say_why(
    counter: Counter, body: dict[str, Any], status: int, errcode: str
) -> None:
    ada = counter.client()
    await ada.registers("ada")
    ada.token = None
    answer = await ada.asks("POST", f"{V3}/login", body)
    assert (answer[0], answer[1]["errcode"]) == (status, errcode)


async def test_names_are_judged_before_anybody_registers(counter: Counter) -> None:
    ada = counter.client()
    await ada.registers("ada")
    ada.token = None
    for name, status, errcode in (
        ("ada", 400, "M_USER_IN_USE"),
        ("a%20b", 400, "M_INVALID_USERNAME"),
        ("%00", 400, "M_INVALID_PARAM"),
    ):
        answer = await ada.asks("GET", f"{V3}/register/available?username={name}")
        assert (answer[0], answer[1]["errcode"]) == (status, errcode)
    assert await ada.asks("GET", f"{V3}/register/available?username=boris") == (
        200,
        {"available": True},
    )
    status, body = await ada.asks("POST", f"{V3}/register?kind=guest", {})
    assert (status, body["errcode"]) == (403, "M_GUEST_ACCESS_FORBIDDEN")
    status, body = await ada.asks("POST", f"{V3}/register", {"username": "b", "password": "x"})
    assert (status, body["errcode"]) == (400, "M_WEAK_PASSWORD")


async def test_registering_by_token(inviting_counter: Counter, invited_office: Office) -> None:
    ada = inviting_counter.client()
    await invited_office.accounts.create_registration_token("welcome", uses_allowed=1)
    path = "/_matrix/client/v1/register/m.login.registration_token/validity?token="
    assert await ada.asks("GET", path + "welcome") == (200, {"valid": True})
    assert await ada.asks("GET", path + "unknown") == (200, {"valid": False})

    asked = {"username": "ada", "password": SECRET}
    status, body = await ada.asks("POST", f"{V3}/register", asked)
    assert (status, body["flows"]) == (401, [{"stages": ["m.login.registration_token"]}])
    auth = {"type": "m.login.registration_token", "session": body["session"], "token": "no"}
    status, body = await ada.asks("POST", f"{V3}/register", {**asked, "auth": auth})
    assert (status, body["errcode"]) == (401, "M_UNAUTHORIZED")
    auth |= {"token": "welcome"}
    assert (await ada.asks("POST", f"{V3}/register", {**asked, "auth": auth}))[0] == 200
    assert await ada.asks("GET", path + "welcome") == (200, {"valid": False})


async def test_a_device_goes_only_with_the_password_and_a_session_of_its_own(
    counter: Counter,
) -> None:
    ada = counter.client()
    await ada.registers("ada")
    for device in ("ONE", "TWO"):
        await ada.signs_in("ada", device_id=device)
    status, asked = await ada.asks("DELETE", f"{V3}/devices/ONE")
    assert status == 401
    assert "errcode" not in asked

    swapped = {"auth": ada.proof(asked["session"])}
    status, body = await ada.asks("DELETE", f"{V3}/devices/TWO", swapped)
    assert (status, body["errcode"]) == (401, "M_FORBIDDEN")
    wrong = {"auth": {**ada.proof(asked["session"]), "password": "wrong"}}
    status, body = await ada.asks("DELETE", f"{V3}/devices/ONE", wrong)
    assert (status, body["errcode"]) == (401, "M_FORBIDDEN")

    assert await ada.asks("DELETE", f"{V3}/devices/ONE", swapped) == (200, {})
    assert (await ada.asks("GET", f"{V3}/devices/ONE"))[0] == 404
    status, body = await ada.asks("GET", f"{V3}/devices")
    assert "TWO" in [device["device_id"] for device in body["devices"]]

    listed: dict[str, Any] = {"devices": [device["device_id"] for device in body["devices"]]}
    status, asked = await ada.asks("POST", f"{V3}/delete_devices", listed)
    assert status == 401
    listed["auth"] = ada.proof(asked["session"])
    assert await ada.asks("POST", f"{V3}/delete_devices", listed) == (200, {})
    assert (await ada.asks("GET", f"{V3}/devices"))[0] == 401


async def test_a_device_can_be_named(counter: Counter) -> None:
    ada, mallory = counter.client(), counter.client()
    await ada.registers("ada")
    await mallory.registers("mallory")
    path = f"{V3}/devices/{ada.device_id}"

    assert await ada.asks("PUT", path, {"display_name": "pocket"}) == (200, {})
    assert (await ada.asks("GET", path))[1]["display_name"] == "pocket"
    assert (await mallory.asks("PUT", path, {"display_name": "mine"}))[0] == 404
    assert (await mallory.asks("GET", path))[0] == 404
    too_long = await ada.asks("PUT", path, {"display_name": "x" * 300})
    assert too_long[1]["errcode"] == "M_INVALID_PARAM"


async def test_a_password_change_asks_for_the_old_one(counter: Counter) -> None:
    ada, laptop = counter.client(), counter.client()
    await ada.registers("ada")
    await laptop.signs_in("ada")
    path = f"{V3}/account/password"
    change: dict[str, Any] = {"new_password": "a brighter horse"}

    status, asked = await ada.asks("POST", path, change)
    assert status == 401
    other = {"new_password": "Mallory's choice", "auth": ada.proof(asked["session"])}
    assert (await ada.asks("POST", path, other))[0] == 401
    change["auth"] = ada.proof(asked["session"])
    assert await ada.asks("POST", path, change) == (200, {})

    assert (await laptop.asks("GET", f"{V3}/account/whoami"))[0] == 401
    assert (await ada.asks("GET", f"{V3}/account/whoami"))[0] == 200
    assert (await laptop.signs_in("ada"))[0] == 403
    assert (await laptop.signs_in("ada", "a brighter horse"))[0] == 200
    stranger = counter.client()
    status, body = await stranger.asks("POST", path, change)
    assert (status, body["errcode"]) == (401, "M_MISSING_TOKEN")


async def test_an_account_is_closed_for_good(counter: Counter) -> None:
    ada = counter.client()
    await ada.registers("ada")
    path = f"{V3}/account/deactivate"
    status, asked = await ada.asks("POST", path, {})
    assert status == 401
    status, body = await ada.asks("POST", path, {"auth": ada.proof(asked["session"])})
    assert (status, body) == (200, {"id_server_unbind_result": "success"})
    assert (await ada.asks("GET", f"{V3}/account/whoami"))[0] == 401
    status, body = await ada.signs_in("ada")
    assert (status, body["errcode"]) == (403, "M_USER_DEACTIVATED")
    status, body = await ada.signs_in("ada", "wrong")
    assert (status, body["errcode"]) == (403, "M_FORBIDDEN")


async def test_a_profile_is_public_and_its_owners_to_change(counter: Counter) -> None:
    ada, mallory, stranger = counter.client(), counter.client(), counter.client()
    await ada.registers("ada")
    await mallory.registers("mallory")
    profile = f"{V3}/profile/{quote(ada.user_id)}"
    assert await stranger.asks("GET", profile) == (200, {})

    assert await ada.asks("PUT", f"{profile}/displayname", {"displayname": "Ada"}) == (200, {})
    unstable = profile.replace("v3", "unstable/uk.tcpip.msc4133")
    assert await ada.asks("PUT", f"{unstable}/m.tz", {"m.tz": "Europe/Berlin"}) == (200, {})
    assert await stranger.asks("GET", profile) == (
        200,
        {"displayname": "Ada", "m.tz": "Europe/Berlin"},
    )
    assert await stranger.asks("GET", f"{profile}/displayname") == (200, {"displayname": "Ada"})
    assert (await stranger.asks("GET", f"{profile}/avatar_url"))[0] == 404
    assert (await stranger.asks("GET", f"{V3}/profile/@b:elsewhere.example"))[0] == 404
    for method in ("PUT", "DELETE"):
        status, body = await mallory.asks(method, f"{profile}/displayname", {"displayname": "x"})
        assert (status, body["errcode"]) == (403, "M_FORBIDDEN")
        assert (await stranger.asks(method, f"{profile}/displayname", {}))[0] == 401
    status, body = await ada.asks("PUT", f"{profile}/displayname", {"name": "x"})
    assert (status, body["errcode"]) == (400, "M_MISSING_PARAM")
    assert await ada.asks("DELETE", f"{profile}/m.tz") == (200, {})
    assert (await ada.asks("GET", f"{profile}/m.tz"))[0] == 404


async def test_account_data_and_filters_are_their_owners_alone(counter: Counter) -> None:
    ada, mallory = counter.client(), counter.client()
    await ada.registers("ada")
    await mallory.registers("mallory")
    mine = f"{V3}/user/{quote(ada.user_id)}"
    data = f"{mine}/account_data/org.example"
    in_room = f"{mine}/rooms/!room:localhost/account_data/org.example"

    assert await ada.asks("PUT", data, {"order": 0.5}) == (200, {})
    assert await ada.asks("GET", data) == (200, {"order": 0.5})
    assert (await ada.asks("GET", in_room))[0] == 404
    assert await ada.asks("PUT", in_room, {"a": 1}) == (200, {})
    assert await ada.asks("GET", in_room) == (200, {"a": 1})
    status, body = await ada.asks("POST", f"{mine}/filter", {"room": {"timeline": {"limit": 1}}})
    one = f"{mine}/filter/{body['filter_id']}"
    assert await ada.asks("GET", one) == (200, {"room": {"timeline": {"limit": 1}}})

    for method, path in (("GET", data), ("PUT", data), ("GET", in_room), ("GET", one)):
        status, body = await mallory.asks(method, path, {})
        assert (status, body["errcode"]) == (403, "M_FORBIDDEN")
    assert (await mallory.asks("POST", f"{mine}/filter", {}))[0] == 403
    for path in (f"{mine}/account_data/m.push_rules", f"{mine}/account_data/m.fully_read"):
        status, body = await ada.asks("PUT", path, {})
        assert (status, body["errcode"]) == (405, "M_BAD_JSON")
    status, body = await ada.asks("PUT", data, raw=b"[1]")
    assert (status, body["errcode"]) == (400, "M_BAD_JSON")
    assert (await ada.asks("PUT", data, raw=b"{"))[1]["errcode"] == "M_NOT_JSON"
    status, body = await ada.asks("PUT", data, {"x": "y" * 70_000})
    assert (status, body["errcode"]) == (413, "M_TOO_LARGE")
    assert (await ada.asks("GET", f"{mine}/filter/never-stored"))[0] == 404
    assert (await ada.asks("GET", f"{mine}/filter/%00"))[0] == 400
    assert await ada.asks("GET", f"{V3}/account/3pid") == (200, {"threepids": []})


async def test_guessing_passwords_runs_into_a_limit(limited_counter: Counter) -> None:
    mallory = limited_counter.client()
    answers = [await mallory.signs_in("ada", f"guess {number}") for number in range(12)]
    statuses = [status for status, _ in answers]
    assert statuses[:10] == [403] * 10
    assert statuses[-1] == 429
    assert answers[-1][1]["retry_after_ms"] > 0


async def test_racing_registrations_of_one_name_make_one_account(counter: Counter) -> None:
    body = {"username": "ada", "password": SECRET, "auth": {"type": "m.login.dummy"}}
    answers = await asyncio.gather(
        *(counter.client().asks("POST", f"{V3}/register", body) for _ in range(5))
    )
    assert sorted(status for status, _ in answers) == [200, 400, 400, 400, 400]


_words = st.sampled_from(
    ["", "ada", "@ada:localhost", "!r:localhost", "m.login.dummy", "m.login.password", "m.id.user"]
) | st.text(max_size=8)
_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=6,
)
_keys = st.sampled_from(
    [
        "type",
        "user",
        "identifier",
        "password",
        "device_id",
        "devices",
        "auth",
        "username",
        "new_password",
        "erase",
        "refresh_token",
        "display_name",
        "displayname",
        "avatar_url",
        "room",
        "presence",
        "limit",
        "initial_device_display_name",
    ]
)
_auths = st.fixed_dictionaries(
    {"auth": st.dictionaries(st.sampled_from(["type", "session", "user", "password"]), _values)}
)
_bodies = st.dictionaries(_keys, _values, max_size=5) | _auths | _values


_routes = [
    route for handler in collect(posthouse.accounts.endpoints) for route in routes_of(handler)
]
_numbers = itertools.count()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.sampled_from(_routes), st.lists(_words, min_size=3, max_size=3), _bodies)
async def test_nothing_that_a_client_says_is_answered_with_a_mistake_of_ours(
    counter: Counter, route: Route, words: list[str], body: object
) -> None:
    somebody = counter.client()
    await somebody.registers(f"somebody{next(_numbers)}")
    path = route.path
    for name, word in zip(route.parameters(), words, strict=False):
        path = path.replace(f"{{{name}}}", quote(word or "x", safe=""))
    path = path.replace("%40ada%3Alocalhost", quote(somebody.user_id))
    raw = json.dumps(body).encode()

    status, answer = await somebody.asks(route.method, path, raw=raw)

    assert status < 500
    assert status == 200 or "errcode" in answer or "flows" in answer
