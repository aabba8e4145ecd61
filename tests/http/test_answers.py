"""What clients are answered: shapes, statuses, CORS."""

import pytest
from structlog.testing import capture_logs

from posthouse.http import LimitSettings
from tests.http.support import request_bytes, running, until

CORS = ("Access-Control-Allow-Origin", "Access-Control-Allow-Methods")


@pytest.mark.parametrize(
    ("method", "target", "status", "errcode"),
    [
        ("GET", "/_matrix/client/versions", 200, None),
        ("GET", "/.well-known/matrix/client", 200, None),
        ("GET", "/_matrix/client/v3/nothing", 404, "M_UNRECOGNIZED"),
        ("GET", "/_matrix", 404, "M_UNRECOGNIZED"),
        ("GET", "/_matrix/", 404, "M_UNRECOGNIZED"),
        ("GET", "/.well-known/nothing", 404, "M_UNRECOGNIZED"),
        ("GET", "/_matrix/client/versions/", 404, "M_UNRECOGNIZED"),
        ("GET", "/_matrix//client/versions", 404, "M_UNRECOGNIZED"),
        ("POST", "/_matrix/client/versions", 405, "M_UNRECOGNIZED"),
        ("PATCH", "/_matrix/client/v3/item/x", 405, "M_UNRECOGNIZED"),
        ("GET", "/_matrix/client/v3/item/%ff", 400, "M_INVALID_PARAM"),
        ("GET", "/_matrix/client/v3/item/%00", 400, "M_INVALID_PARAM"),
        ("GET", "/_matrix/client/v3/crash", 500, "M_UNKNOWN"),
        ("GET", "/_matrix/client/v3/nonsense", 500, "M_UNKNOWN"),
        ("GET", "/_matrix/client/v3/unavailable", 503, "M_UNKNOWN"),
    ],
)
async def test_every_answer_of_the_protocol_is_json_that_web_clients_may_read(
    method: str, target: str, status: int, errcode: str | None
) -> None:
    async with running() as world:
        answer = await world.ask_one(method, target)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/json"
    for name in CORS:
        assert name in answer.headers
    assert "Date" in answer.headers
    if errcode is not None:
        assert answer.json()["errcode"] == errcode
        assert answer.json()["error"]


async def test_a_wrong_method_names_the_right_ones() -> None:
    async with running() as world:
        answer = await world.ask_one("DELETE", "/_matrix/client/v3/item/x")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    "target", ["/_matrix/client/v3/sync", "/_matrix/client/v3/nothing", "/.well-known/x", "*"]
)
async def test_a_preflight_needs_no_token_and_no_route(target: str) -> None:
    async with running() as world:
        answer = await world.ask_one("OPTIONS", target, headers=())
    assert answer.status == 204
    assert answer.body == b""
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    assert "PUT" in answer.headers["Access-Control-Allow-Methods"]


async def test_head_is_get_without_its_body() -> None:
    async with running() as world:
        full = await world.ask_one("GET", "/_matrix/client/versions")
        head = await world.ask_one("HEAD", "/_matrix/client/versions")
        stream = await world.ask_one("HEAD", "/_matrix/media/v3/pieces")
    assert head.body == stream.body == b""
    assert head.headers["Content-Length"] == full.headers["Content-Length"]
    assert stream.status == 200


async def test_a_crash_tells_the_log_and_not_the_client() -> None:
    async with running() as world:
        with capture_logs() as logs:
            answer = await world.ask_one("GET", "/_matrix/client/v3/crash?access_token=hush")
        again = await world.ask_one("GET", "/_matrix/client/versions")
    assert b"4711" not in answer.body
    (entry,) = logs
    assert entry["log_level"] == "error"
    assert isinstance(entry["exc_info"], ValueError)
    assert "hush" not in str(entry)
    assert again.status == 200


async def test_a_fault_says_when_to_try_again_and_nothing_inside() -> None:
    async with running() as world:
        answer = await world.ask_one("GET", "/_matrix/client/v3/unavailable")
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "7"
    assert b"secret" not in answer.body


@pytest.mark.parametrize(
    ("headers", "status", "errcode"),
    [
        ((), 401, "M_MISSING_TOKEN"),
        ((("Authorization", "Basic YTpi"),), 401, "M_MISSING_TOKEN"),
        ((("Authorization", "Bearer "),), 401, "M_MISSING_TOKEN"),
        ((("Authorization", "Bearer mallory"),), 401, "M_UNKNOWN_TOKEN"),
        ((("Authorization", "Bearer ada"),), 200, "@ada:localhost"),
        ((("authorization", "bearer boris"),), 200, "@boris:localhost"),
    ],
)
async def test_a_token_is_asked_for_and_looked_up(
    headers: tuple[tuple[str, str], ...], status: int, errcode: str
) -> None:
    async with running() as world:
        answer = await world.ask_one("GET", "/_matrix/client/v3/whoami", headers=headers)
    assert answer.status == status
    assert errcode in answer.json().values()


async def test_a_token_in_the_query_still_works() -> None:
    async with running() as world:
        answer = await world.ask_one(
            "GET", "/_matrix/client/v3/whoami?x=1&access_token=boris", headers=()
        )
    assert answer.json() == {"user_id": "@boris:localhost"}


async def test_where_a_token_is_optional_a_wrong_one_is_still_refused() -> None:
    async with running() as world:
        nobody = await world.ask_one("POST", "/_matrix/client/v3/raw", body=b"", headers=())
        wrong = await world.ask_one(
            "POST",
            "/_matrix/client/v3/raw",
            body=b"",
            headers=(("Authorization", "Bearer mallory"),),
        )
    assert nobody.json()["who"] == "nobody"
    assert wrong.status == 401


async def test_whoever_asks_too_often_learns_how_long_to_wait() -> None:
    async with running() as world:
        request = request_bytes("GET", "/_matrix/client/v3/limited")
        client = await world.connect()
        client.send(request * 12)
        answers = [await client.read_answer() for _ in range(12)]
        client.close()
        assert sum(answer.startswith(b"HTTP/1.1 200") for answer in answers) == 10
        assert answers[-1].startswith(b"HTTP/1.1 429")
        assert b"M_LIMIT_EXCEEDED" in answers[-1]
        assert b"Retry-After: 5\r\n" in answers[-1]
        world.pass_time(5)
        again = await world.ask_one("GET", "/_matrix/client/v3/limited")
    assert again.status == 200


async def test_limits_can_be_switched_off() -> None:
    async with running(limits=LimitSettings(enabled=False)) as world:
        client = await world.connect()
        client.send(request_bytes("GET", "/_matrix/client/v3/limited") * 50)
        answers = [await client.read_answer() for _ in range(50)]
        client.close()
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)


async def test_what_is_not_the_protocol_is_a_page() -> None:
    async with running() as world:
        page = await world.ask_one("GET", "/")
        missing = await world.ask_one("GET", "/nothing")
        posted = await world.ask_one("POST", "/", body=b"x")
    assert page.body == b"<h1>Posthouse</h1>"
    assert "Access-Control-Allow-Origin" not in page.headers
    assert (missing.status, missing.headers["Content-Type"][:10]) == (404, "text/plain")
    assert (posted.status, posted.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_a_poll_is_answered_later_and_from_elsewhere() -> None:
    async with running() as world:
        client = await world.connect()
        client.send(
            request_bytes(
                "GET", "/_matrix/client/v3/sync", headers=(("Authorization", "Bearer ada"),)
            )
            * 2
        )
        for number in range(2):
            await until(lambda: world.desk.waiting)
            exchange = world.desk.waiting.pop()
            exchange.answer(b'{"n":%d}' % number)
            exchange.answer(b'{"n":"a second answer is dropped"}')
            assert (await client.read_answer()).endswith(b'{"n":%d}' % number)
        client.close()
