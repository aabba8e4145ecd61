"""Requests made from the specification's own data: whatever is asked, the server makes no mistake.

schemathesis makes cases that fit each operation's description and cases that don't. Half of what
names a room, an event or a person is one that there is, so that handlers are reached and not only
their gates. An answer of 500 is a bug; 503 would be one here as well.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from posthouse.app.routes import handlers
from posthouse.http import routes_of
from tests.databases import Place
from tests.server_process import ServerProcess, running_server
from tests.test_tidy import nameless
from tests.world import PASSWORD, V3

VECTORS: Final = Path(__file__).resolve().parent.parent / "vectors"

ENDS_THE_SESSION: Final = {
    "logout", "logout_all", "deactivateAccount", "deleteDevice", "deleteDevices", "changePassword",
}  # fmt: skip

_names = count(1)


def operations() -> list[Any]:
    """Those of the specification that are served."""
    document = json.loads((VECTORS / "client-server-openapi.json").read_text())
    served = {
        f"{route.method} {nameless(route.path)}"
        for handler in handlers()
        for route in routes_of(handler)
    }
    found = []
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        assert isinstance(result, Ok), f"the specification's data can't be read: {result}"
        found.append(result.ok())
    return [o for o in found if f"{o.method.upper()} {nameless(o.path)}" in served]


OPERATIONS: Final = operations()


@dataclass
class Visitor:
    """Somebody in a room with a message, to ask with."""

    server: ServerProcess
    session: requests.Session
    token: str
    known: dict[str, str]

    @classmethod
    def arrives(cls, server: ServerProcess, session: requests.Session) -> "Visitor":
        name = f"visitor{next(_names)}"
        body: Any = {"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
        answer = session.post(f"{server.url}{V3}/register", json=body).json()
        visitor = cls(server, session, answer["access_token"], {})
        room = visitor.asks("POST", f"{V3}/createRoom", {"preset": "public_chat"})["room_id"]
        sent = visitor.asks("PUT", f"{V3}/rooms/{room}/send/m.room.message/1", {"body": "hello"})
        filter_id = visitor.asks("POST", f"{V3}/user/{answer['user_id']}/filter", {})["filter_id"]
        visitor.known = {
            "roomId": room,
            "roomIdOrAlias": room,
            "eventId": sent["event_id"],
            "userId": answer["user_id"],
            "deviceId": answer["device_id"],
            "filterId": filter_id,
            "eventType": "m.room.name",
            "keyName": "displayname",
            "serverName": "localhost",
        }
        return visitor

    def asks(self, method: str, path: str, body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = self.session.request(
            method, self.server.url + path, json=body, headers=headers, timeout=20
        )
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """On SQLite: what an operation does with its arguments is asked of both engines elsewhere."""
    with running_server(tmp_path_factory.mktemp("openapi") / "data", settings=CHEAP) as process:
        yield process


CHEAP: Final = {"accounts.passwords.memory_kib": "64", "accounts.passwords.passes": "1"}


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as one:
        yield one


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.definition.raw["operationId"])
def test_no_request_brings_out_a_mistake(
    server: ServerProcess, session: requests.Session, operation: Any
) -> None:
    _try(server, session, operation, GenerationMode.POSITIVE, examples=3)


@pytest.mark.long
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.definition.raw["operationId"])
def test_no_request_of_many_brings_out_a_mistake(
    server: ServerProcess, session: requests.Session, operation: Any
) -> None:
    _try(server, session, operation, GenerationMode.POSITIVE, examples=100)
    if len(operation.query) or len(operation.body):  # there is something to get wrong
        _try(server, session, operation, GenerationMode.NEGATIVE, examples=100)


@pytest.mark.long
def test_no_request_brings_out_a_mistake_in_one_server_asked_everything(
    place: Place, session: requests.Session
) -> None:
    with running_server(place.data, storage_url=place.settings.url, settings=CHEAP) as process:
        for operation in OPERATIONS:
            _try(process, session, operation, GenerationMode.POSITIVE, examples=20)


def _try(
    server: ServerProcess,
    session: requests.Session,
    operation: Any,
    mode: GenerationMode,
    *,
    examples: int,
) -> None:
    ends = operation.definition.raw["operationId"] in ENDS_THE_SESSION
    visitor = Visitor.arrives(server, session)
    written = len(server.log_text())

    @given(
        case=operation.as_strategy(generation_mode=mode), choose=st.randoms(use_true_random=False)
    )
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def run(case: Any, choose: Any) -> None:
        nonlocal visitor
        for name in case.path_parameters or {}:
            if name in visitor.known and choose.random() < 0.6:
                case.path_parameters[name] = visitor.known[name]
        if case.query and "timeout" in case.query:
            case.query["timeout"] = choose.choice((0, 1, "soon", -1))  # a poll must not wait here
        headers = {"Authorization": f"Bearer {visitor.token}"}
        answer = case.call(base_url=server.url, session=session, headers=headers, timeout=20)
        assert answer.status_code < 500, (case.as_curl_command(), answer.text)
        if ends and answer.status_code == 200:
            visitor = Visitor.arrives(server, session)

    run()
    assert "handler failed" not in server.log_text()[written:]
