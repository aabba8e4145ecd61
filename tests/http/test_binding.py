"""How requests become the arguments of handlers, and what is refused at that door."""

from typing import Annotated, Any

import pytest
from msgspec import Struct

from posthouse.http import (
    Auth,
    Caller,
    Handler,
    HttpSettings,
    LimitSettings,
    RawBody,
    RawJson,
    Site,
    get,
    poll,
    post,
)
from posthouse.matrix import UserId
from tests.http.support import HandClock, Tokens, running


async def test_a_handler_gets_path_body_and_caller() -> None:
    async with running() as world:
        answer = await world.ask_one(
            "PUT",
            "/_matrix/client/v3/rooms/!r:localhost/echo/a%2Fb%20%C3%A9",
            body=b'{"value":"x","count":3,"unknown":[1.5]}',
        )
    assert answer.status == 200
    assert answer.json() == {
        "who": "@ada:localhost",
        "room_id": "!r:localhost",
        "name": "a/b é",
        "value": "x",
        "count": 3,
    }


@pytest.mark.parametrize(
    ("body", "status", "errcode", "named"),
    [
        (b'{"value":1}', 400, "M_BAD_JSON", "$.value"),
        (b"{}", 400, "M_BAD_JSON", "value"),
        (b"[]", 400, "M_BAD_JSON", "object"),
        (b"", 400, "M_BAD_JSON", "value"),
        (b'{"value":"x"', 400, "M_NOT_JSON", ""),
        (b"\xff", 400, "M_NOT_JSON", ""),
        (b'{"value":"\xff"}', 400, "M_NOT_JSON", ""),
        (b'{"value":"\\ud800"}', 400, "M_NOT_JSON", ""),
        (b'{"value":"\\u0000"}', 400, "M_BAD_JSON", "NUL"),
        (b'{"value":"\\\\u0000"}', 200, None, ""),
        (b'{"value":"x","y":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "M_", ""),
        (b'{"value":"x","count":1e400}', 400, "M_", ""),
        (b'{"value":"x","count":' + b"9" * 5000 + b"}", 400, "M_BAD_JSON", ""),
    ],
)
async def test_a_wrong_body_is_refused_with_the_name_of_the_field(
    body: bytes, status: int, errcode: str | None, named: str
) -> None:
    async with running() as world:
        answer = await world.ask_one(
            "PUT", "/_matrix/client/v3/rooms/!r:localhost/echo/n", body=body
        )
    assert answer.status == status
    if errcode is not None:
        assert answer.json()["errcode"].startswith(errcode)
        assert named in answer.json()["error"]


async def test_an_identifier_in_the_path_is_parsed() -> None:
    async with running() as world:
        answer = await world.ask_one(
            "PUT", "/_matrix/client/v3/rooms/nonsense/echo/n", body=b'{"value":"x"}'
        )
    assert answer.status == 400
    assert answer.json()["errcode"] == "M_INVALID_PARAM"
    assert answer.json()["error"].startswith("room_id")


async def test_a_query_is_converted_and_repeated_names_make_a_list() -> None:
    async with running() as world:
        answer = await world.ask_one(
            "GET",
            "/_matrix/client/v3/ask?dir=b&limit=5&via=a&via=b%2Bc+d&org.example.flag=true&x",
            headers=(("User-Agent", "Ada's browser"),),
        )
    assert answer.json() == {
        "dir": "b",
        "limit": 5,
        "via": ["a", "b+c d"],
        "agent": "Ada's browser",
        "address": "127.0.0.1",
        "flag": True,
    }


@pytest.mark.parametrize(
    ("query", "errcode", "named"),
    [
        ("", "M_MISSING_PARAM", "dir"),
        ("dir=x", "M_INVALID_PARAM", "dir"),
        ("dir=b&limit=many", "M_INVALID_PARAM", "limit"),
        ("dir=b&org.example.flag=maybe", "M_INVALID_PARAM", "org.example.flag"),
        ("dir=%ff", "M_INVALID_PARAM", "UTF-8"),
        ("dir=%00", "M_INVALID_PARAM", "NUL"),
    ],
)
async def test_a_wrong_query_is_refused_with_the_name_of_the_parameter(
    query: str, errcode: str, named: str
) -> None:
    async with running() as world:
        answer = await world.ask_one("GET", f"/_matrix/client/v3/ask?{query}")
    assert answer.status == 400
    assert answer.json()["errcode"] == errcode
    assert named in answer.json()["error"]


async def test_a_forwarded_address_is_believed_from_a_trusted_proxy_only() -> None:
    target = "/_matrix/client/v3/ask?dir=b"
    headers = (("X-Forwarded-For", "6.6.6.6, 203.0.113.9"),)
    async with running() as world:
        untrusted = await world.ask_one("GET", target, headers=headers)
    async with running(settings=HttpSettings(trusted_proxies=("127.0.0.0/8",))) as world:
        trusted = await world.ask_one("GET", target, headers=headers)
    assert untrusted.json()["address"] == "127.0.0.1"
    assert trusted.json()["address"] == "203.0.113.9"


def site_of(*handlers: Handler, services: dict[type, object] | None = None) -> Site:
    return Site(
        handlers,
        services or {},
        authenticator=Tokens(),
        settings=HttpSettings(),
        limits=LimitSettings(),
        clock=HandClock(),
    )


class InPath(Struct, frozen=True):
    user_id: UserId


class Both(Struct, frozen=True):
    user_id: UserId
    body: Annotated[bytes, RawBody()]
    other: str


def test_what_can_never_be_called_fails_at_the_start() -> None:
    @get("/_matrix/a/{user_id}", auth=Auth.NONE)
    def without_request() -> RawJson:
        return RawJson(b"")

    @get("/_matrix/a/{user}", auth=Auth.NONE)
    def wrong_name(request: InPath) -> RawJson:
        return RawJson(b"")

    @get("/_matrix/a", auth=Auth.NONE)
    def nobody_calls(caller: Caller) -> RawJson:
        return RawJson(b"")

    @get("/_matrix/a")
    def unknown_service(service: HandClock) -> RawJson:
        return RawJson(b"")

    @post("/_matrix/a/{user_id}")
    def two_bodies(request: Both) -> RawJson:
        return RawJson(b"")

    @poll("/_matrix/a")
    async def waiting_task() -> None: ...

    for handler in (
        without_request,
        wrong_name,
        nobody_calls,
        unknown_service,
        two_bodies,
        waiting_task,
    ):
        with pytest.raises(TypeError):
            site_of(handler)


def test_one_path_and_method_has_one_handler() -> None:
    @get("/_matrix/a/{user_id}", auth=Auth.NONE)
    @get("/_matrix/b/{user_id}", auth=Auth.NONE)
    def one(request: InPath) -> RawJson:
        return RawJson(b"")

    assert [route.path for route in site_of(one).routes] == [
        "/_matrix/a/{user_id}",
        "/_matrix/b/{user_id}",
    ]
    with pytest.raises(ValueError, match="served twice"):
        site_of(one, one)


class Invite(Struct, frozen=True):
    invite: list[UserId] = []
    direct: UserId | None = None
    content: dict[str, Any] = {}


@post("/_matrix/client/v3/invite", auth=Auth.NONE)
def invite(request: Invite) -> Invite:
    return request


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", None),
        (b'{"invite":["@a:b"],"direct":"@c:d","content":{"x":[1,{"y":null}]}}', None),
        (b'{"direct":null}', None),
        (b'{"invite":["a"]}', "M_INVALID_PARAM"),
        (b'{"direct":"a"}', "M_INVALID_PARAM"),
        (b'{"content":{"x":1.5}}', "M_BAD_JSON"),
        (b'{"content":{"x":1,"x":2}}', "M_"),
        (b'{"content":{"x":9007199254740993}}', "M_BAD_JSON"),
    ],
)
async def test_identifiers_and_kept_content_are_checked_inside_bodies(
    body: bytes, expected: str | None
) -> None:
    async with running(handlers=(invite,)) as world:
        answer = await world.ask_one("POST", "/_matrix/client/v3/invite", body=body)
    assert answer.status == (200 if expected is None else 400)
    assert answer.json().get("errcode", "").startswith(expected or "")
