"""The endpoints of devices over a socket: what a client and what Mallory gets."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import aiohttp
import orjson
import pytest
from yarl import URL

import posthouse.devices.endpoints
from posthouse.accounts import Accounts
from posthouse.devices import (
    CrossSigning,
    DehydratedDevices,
    DeviceChanges,
    Devices,
    KeyBackups,
    SharedRooms,
    ToDevice,
    Usage,
)
from posthouse.http import HttpSettings, LimitSettings, Server, Site, collect
from posthouse.matrix import UserId
from posthouse.std.clock import SystemClock
from tests.devices.office import PASSWORD, Office, Phone, one_time_keys

V3 = "/_matrix/client/v3"
Ask = Callable[..., Awaitable[tuple[int, Any]]]


class _OneRoom:
    """Everybody shares a room in which Boris changed his devices and Olga left."""

    async def device_changes(self, user_id: UserId, since: str, until: str) -> DeviceChanges:
        return DeviceChanges([UserId("@boris:example.org")], [UserId("@olga:example.org")])


@pytest.fixture
async def ask(office: Office) -> AsyncIterator[Ask]:
    site = Site(
        collect(posthouse.devices.endpoints),
        {
            Accounts: office.accounts,
            Devices: office.devices,
            CrossSigning: office.cross_signing,
            ToDevice: office.to_device,
            KeyBackups: office.backups,
            DehydratedDevices: office.dehydrated,
            SharedRooms: _OneRoom(),
        },
        authenticator=office.accounts,
        settings=HttpSettings(listen=("127.0.0.1:0",)),
        limits=LimitSettings(enabled=False),
        clock=SystemClock(),
    )
    server = Server(site, SystemClock())
    (address,) = await server.start()
    async with aiohttp.ClientSession() as session:

        async def ask(
            phone: Phone | None, method: str, path: str, body: Any = None
        ) -> tuple[int, Any]:
            headers = {"Authorization": f"Bearer {phone.token}"} if phone else {}
            data = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
            url = URL(f"http://{address}{V3}{path}", encoded=True)
            async with session.request(method, url, headers=headers, data=data) as answer:
                return answer.status, await answer.json()

        yield ask
    await server.stop()


async def test_two_devices_find_each_other(office: Office, ask: Ask) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")

    upload = {"device_keys": boris.device_keys(), "one_time_keys": one_time_keys("a")}
    assert await ask(boris, "POST", "/keys/upload", upload) == (
        200,
        {"one_time_key_counts": {"signed_curve25519": 1}},
    )
    status, found = await ask(ada, "POST", "/keys/query", {"device_keys": {boris.user_id: []}})
    assert status == 200
    assert found["device_keys"][boris.user_id]["PHONE"]["keys"] == boris.device_keys()["keys"]
    wanted = {"one_time_keys": {boris.user_id: {"PHONE": "signed_curve25519"}}, "timeout": 10_000}
    assert await ask(ada, "POST", "/keys/claim", wanted) == (
        200,
        {"failures": {}, "one_time_keys": {boris.user_id: {"PHONE": one_time_keys("a")}}},
    )
    messages = {"messages": {boris.user_id: {"PHONE": {"ciphertext": "…"}}}}
    assert await ask(ada, "PUT", "/sendToDevice/m.room.encrypted/1", messages) == (200, {})
    assert await boris.received() == [{"ciphertext": "…"}]
    assert await ask(ada, "GET", "/keys/changes?from=a&to=b") == (
        200,
        {"changed": ["@boris:example.org"], "left": ["@olga:example.org"]},
    )


async def test_new_cross_signing_keys_ask_for_the_password(office: Office, ask: Ask) -> None:
    ada = await office.phone("ada")
    path = "/keys/device_signing/upload"
    first = {"master_key": ada.cross_signing_key(Usage.MASTER)}
    other = {"master_key": ada.cross_signing_key(Usage.MASTER, name="second")}

    assert await ask(ada, "POST", path, first) == (200, {})
    assert await ask(ada, "POST", path, first) == (200, {})
    status, challenge = await ask(ada, "POST", path, other)
    assert status == 401
    assert challenge["flows"] == [{"stages": ["m.login.password"]}]
    auth = {"type": "m.login.password", "password": PASSWORD, "session": challenge["session"]}
    assert await ask(ada, "POST", path, {**other, "auth": auth}) == (200, {})


async def test_every_endpoint_wants_a_token(office: Office, ask: Ask) -> None:
    paths = [
        ("POST", "/keys/upload"),
        ("POST", "/keys/query"),
        ("POST", "/keys/claim"),
        ("GET", "/keys/changes?from=a&to=b"),
        ("POST", "/keys/device_signing/upload"),
        ("POST", "/keys/signatures/upload"),
        ("PUT", "/sendToDevice/m.test/1"),
    ]

    for method, path in paths:
        status, body = await ask(None, method, path, {} if method != "GET" else None)
        assert (status, body["errcode"]) == (401, "M_MISSING_TOKEN"), path


NUL: Final = b'{"device_keys": {"@a:example.org": ["\\u0000"]}}'
DEEP: Final = b'{"x":' * 200 + b"1" + b"}" * 200


REFUSED: Final[list[tuple[str, str, Any]]] = [
    ("POST", "/keys/upload", {"device_keys": []}),
    ("POST", "/keys/upload", {"one_time_keys": {"a:b": 1.5}}),
    ("POST", "/keys/upload", {"one_time_keys": {"nameless": "x"}}),
    ("POST", "/keys/upload", b'{"one_time_keys": {"a:\\u0000": "x"}}'),
    ("POST", "/keys/upload", b'{"one_time_keys": {"a:b": "\\ud800"}}'),
    ("POST", "/keys/upload", b'{"one_time_keys": {"a:b": "x", "a:b": "y"}}'),
    ("POST", "/keys/query", {}),
    ("POST", "/keys/query", {"device_keys": {"nobody": []}}),
    ("POST", "/keys/query", {"device_keys": {"@a:example.org": "PHONE"}}),
    ("POST", "/keys/query", NUL),
    ("POST", "/keys/query", b'{"device_keys": {"@\\ud800:example.org": []}}'),
    ("POST", "/keys/claim", {"one_time_keys": {"@a:example.org": {"PHONE": 7}}}),
    ("POST", "/keys/claim", b'{"one_time_keys": {"@a:example.org": {"\\u0000": "x"}}}'),
    ("POST", "/keys/signatures/upload", {"@a:example.org": []}),
    ("POST", "/keys/signatures/upload", {"@a:example.org": {"PHONE": "x"}}),
    ("POST", "/keys/signatures/upload", {"nobody": {}}),
    ("POST", "/keys/signatures/upload", b"[]"),
    ("POST", "/keys/device_signing/upload", {"master_key": {"user_id": "@x:example.org"}}),
    ("PUT", "/sendToDevice/m.test/1", {}),
    ("PUT", "/sendToDevice/m.test/1", {"messages": {"@a:example.org": {"PHONE": "x"}}}),
    ("PUT", "/sendToDevice/m.test/1", {"messages": {"@a:example.org": {"P": {"n": 1.5}}}}),
    (
        "PUT",
        "/sendToDevice/m.test/1",
        b'{"messages": {"@a:example.org": {"P": ' + DEEP + b"}}}",
    ),
    ("PUT", "/sendToDevice/m.%00test/1", {"messages": {}}),
    ("PUT", "/sendToDevice/m.test/%00", {"messages": {"@ada:example.org": {"*": {}}}}),
    ("PUT", f"/sendToDevice/m.test/{'1' * 300}", {"messages": {}}),
]


async def test_what_cannot_be_stored_or_understood_is_refused(office: Office, ask: Ask) -> None:
    mallory = await office.phone("ada")

    for method, path, body in REFUSED:
        status, answer = await ask(mallory, method, path, body)

        assert status == 400, (path, body, answer)
        assert answer["errcode"] in ("M_BAD_JSON", "M_NOT_JSON", "M_INVALID_PARAM"), (path, body)


async def test_no_request_names_more_devices_than_one_may(office: Office, ask: Ask) -> None:
    mallory = await office.phone("mallory")
    many: dict[str, Any] = {str(n): {} for n in range(2_001)}

    status, answer = await ask(
        mallory, "PUT", "/sendToDevice/m.test/1", {"messages": {mallory.user_id: many}}
    )

    assert (status, answer["errcode"]) == (413, "M_TOO_LARGE")
