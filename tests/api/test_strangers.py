"""A walk through every endpoint as somebody whom it is not for.

Nobody without a token, an outsider with an account, a former member of a room and an invited one
ask for everything that is Ada's, and try to change it: they learn no secret of hers and change
nothing, and then the one it is for does the same with success, so that each refusal could have
failed. An endpoint that isn't classified here fails the test.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
import orjson
import pytest
from yarl import URL

from posthouse.app.routes import handlers
from posthouse.http import Handler, routes_of
from tests.devices.test_dehydrated_devices import PATH as DEHYDRATED
from tests.devices.test_dehydrated_devices import asleep, upload
from tests.devices.test_key_backup import ALGORITHM, AUTH, SESSION, begins, key, puts
from tests.world import PASSWORD, V3, Device, Person, World

Json = dict[str, Any]
SECRET: Final = "secret-"
"""How every word begins that is Ada's, or of her room after Fay left and before Ivan comes."""

PASSERS: Final = ("nobody", "outsider", "former", "invited")
NO_SUCH_ROOM: Final = "!nosuchroom:localhost"

_numbers = itertools.count(1)


@dataclass
class Scene:
    """Ada's things, and who walks by."""

    world: World
    ada: Person
    room: str
    devices: Mapping[str, Device]
    """Of each passer but `nobody`, and of those in the room who are to be used up."""
    values: Mapping[str, str]
    """What stands in a path for each of its names."""
    refresh_token: str

    async def asks(
        self, device: Device | None, method: str, path: str, case: "Case"
    ) -> tuple[int, str]:
        """The request of a case; whoever has a password proves it when they are asked to."""
        body = case.body(self) if case.body else None
        status, text = await self._asks(device, method, path, body, case.query(self))
        if status == 401 and device is not None and '"session"' in text:
            proof = {
                "type": "m.login.password",
                "identifier": {"type": "m.id.user", "user": device.user_id},
                "password": PASSWORD,
                "session": orjson.loads(text)["session"],
            }
            assert isinstance(body, dict)
            proved = {**body, "auth": proof}
            status, text = await self._asks(device, method, path, proved, case.query(self))
        return status, text

    async def _asks(
        self,
        device: Device | None,
        method: str,
        path: str,
        body: Json | bytes | None,
        query: Mapping[str, str],
    ) -> tuple[int, str]:
        if body is None and method in ("POST", "PUT"):
            body = {}
        headers = {"Authorization": f"Bearer {device.token}"} if device else {}
        url = self.world.address + path + ("?" + urlencode(query) if query else "")
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.request(
                method,
                URL(url, encoded=True),
                data=orjson.dumps(body) if isinstance(body, dict) else body,
            ) as answer,
        ):
            return answer.status, (await answer.read()).decode(errors="replace")

    def path(self, template: str, **other: str) -> str:
        values = {**self.values, "txn_id": f"t{next(_numbers)}"}
        values |= {name: self.values.get(value, value) for name, value in other.items()}
        return template.format(**{name: quote(value, safe="") for name, value in values.items()})

    async def picture(self) -> list[object]:
        """Everything of Ada's that others could have changed."""
        ada = self.ada.phone
        room = f"{V3}/rooms/{quote(self.room)}"
        user = f"{V3}/user/{quote(ada.user_id)}"
        asked = [
            await ada.ask("GET", f"{room}/messages", dir="b", limit=100),
            await ada.ask("GET", f"{room}/state"),
            await ada.ask("GET", f"{user}/account_data/x.secret"),
            await ada.ask("GET", f"{user}/rooms/{quote(self.room)}/account_data/x.secret"),
            await ada.ask("GET", f"{V3}/devices"),
            await ada.ask("GET", f"{V3}/room_keys/version"),
            await ada.ask("GET", f"{V3}/room_keys/keys", version=self.values["version"]),
            await ada.ask("GET", DEHYDRATED),
            await ada.ask("GET", f"{V3}/pushers"),
            await ada.ask("GET", f"{room}/aliases"),
            await ada.ask("GET", f"{V3}/profile/{quote(ada.user_id)}"),
        ]
        return [_without_times(answer) for answer in asked]


def _nothing(_: Scene) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Case:
    """How one endpoint is asked, and for whom it is."""

    kind: str
    """`public`: for everybody. `self`: for whoever has an account, about themselves. `theirs`: for
    some, by who they are."""
    by: str = "ada"
    """Who does it with success."""
    body: Callable[[Scene], Json | bytes] | None = None
    query: Callable[[Scene], Mapping[str, str]] = _nothing
    shows: str | None = None
    """The secret that is in the answer for whom it is for."""
    also: frozenset[str] = frozenset()
    """Passers who are answered too, without a secret."""
    but: frozenset[str] = frozenset()
    """Passers who may do just that."""
    tells: frozenset[str] = frozenset()
    """Secrets that this endpoint is meant to tell."""
    hers: bool = False
    """Done with success by Ada, who has what it needs; else by somebody new."""
    status: int = 200
    values: Mapping[str, str] = field(default_factory=dict)
    """What stands in the path in place of the scene's values: a word, or another of the values."""


def public(**how: Any) -> Case:
    return Case("public", by="nobody", **how)


def own(**how: Any) -> Case:
    return Case("self", **how)


def theirs(**how: Any) -> Case:
    return Case("theirs", **how)


def _user(name: str) -> Callable[[Scene], Json]:
    return lambda scene: {"user_id": scene.devices[name].user_id}


def _fixed(**body: Any) -> Callable[[Scene], Json]:
    return lambda _: body


def _version(scene: Scene) -> Mapping[str, str]:
    return {"version": scene.values["version"]}


def _pusher(_: Scene) -> Json:
    return {
        "app_id": "org.example",
        "pushkey": "secret-pushkey",
        "kind": "http",
        "app_display_name": "Example",
        "device_display_name": "Phone",
        "lang": "en",
        "data": {"url": "https://push.example/_matrix/push/v1/notify"},
    }


FORMER: Final = frozenset({"former"})
INVITED: Final = frozenset({"invited"})
TOPIC: Final = {"event_type": "m.room.topic", "state_key": ""}

CASES: Final[Mapping[str, Case]] = {
    # -- what a server says of itself, and the doors ---------------------------------------------
    "get_versions": public(),
    "get_wellknown": public(),
    "get_wellknown_support": public(status=404),
    "get_login_flows": public(),
    "check_username_availability": public(query=lambda _: {"username": "nobodyyet"}),
    "registration_token_validity": public(query=lambda _: {"token": "guess"}, status=403),
    "register": public(
        body=lambda _: {
            "username": f"new{next(_numbers)}",
            "password": PASSWORD,
            "auth": {"type": "m.login.dummy"},
        }
    ),
    "login": public(
        body=lambda scene: {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": scene.devices["outsider"].user_id},
            "password": PASSWORD,
        }
    ),
    "refresh": public(body=lambda scene: {"refresh_token": scene.refresh_token}),
    "get_version": public(),
    "get_wellknown_server": public(),
    "exchange_open_id_token": public(query=lambda _: {"access_token": "guess"}, status=401),
    "get_public_rooms": public(),
    "get_user_profile": public(),
    "get_profile_field": public(values={"key_name": "displayname"}),
    # -- one's own account -------------------------------------------------------------------------
    "get_capabilities": own(),
    "get_token_owner": own(),
    "get_account_3pids": own(),
    "get_devices": own(shows="secret-device"),
    "delete_device": own(body=_fixed()),
    "delete_devices": own(body=lambda scene: {"devices": [scene.ada.phone.device_id]}),
    "change_password": own(body=_fixed(new_password="another horse battery")),
    "deactivate_account": own(body=_fixed()),
    "logout": own(),
    "logout_all": own(),
    "get_joined_rooms": own(),
    "create_room": own(),
    "sync": own(shows="secret-message"),
    "query_public_rooms": own(),
    "get_turn_server": own(),
    "get_protocols": own(),
    "get_protocol_metadata": own(values={"protocol": "irc"}, status=404),
    "query_location_by_alias": own(query=lambda _: {"alias": "#a:localhost"}, status=404),
    "query_location_by_protocol": own(values={"protocol": "irc"}, status=404),
    "query_user_by_id": own(query=lambda _: {"userid": "@a:localhost"}, status=404),
    "query_user_by_protocol": own(values={"protocol": "irc"}, status=404),
    "get_pushers": own(shows="secret-pushkey"),
    "post_pusher": own(body=lambda scene: {**_pusher(scene), "pushkey": "another"}),
    "get_mutual_rooms": own(
        query=lambda scene: {"user_id": scene.devices["gus"].user_id}, hers=True
    ),
    # -- one's own things, named in the path -----------------------------------------------------
    "define_filter": theirs(body=_fixed(room={})),
    "get_filter": theirs(shows="secret-filter"),
    "get_account_data": theirs(shows="secret-data"),
    "set_account_data": theirs(body=_fixed(is_="changed"), values={"type": "x.other"}),
    "get_account_data_per_room": theirs(shows="secret-room-data"),
    "set_account_data_per_room": theirs(body=_fixed(is_="changed"), values={"type": "x.other"}),
    "set_profile_field": theirs(body=_fixed(displayname="Eve"), values={"key_name": "displayname"}),
    "delete_profile_field": theirs(values={"key_name": "displayname"}),
    "get_device": theirs(shows="secret-device"),
    "update_device": theirs(body=_fixed(display_name="secret-device")),
    "get_who_is": theirs(),
    "request_open_id_token": theirs(),
    # -- keys for one's next device --------------------------------------------------------------
    "post_room_keys_version": own(body=_fixed(algorithm=ALGORITHM, auth_data=AUTH)),
    "get_room_keys_version_current": own(shows="secret-auth"),
    "get_room_keys_version": own(hers=True),
    "put_room_keys_version": own(
        body=_fixed(algorithm=ALGORITHM, auth_data={**AUTH, "note": "secret-auth"}),
        values={"version_id": "version"},
        hers=True,
    ),
    "delete_room_keys_version": own(hers=True),
    "get_room_keys": own(query=_version, shows="secret-key"),
    "get_room_keys_by_room_id": own(query=_version, shows="secret-key"),
    "get_room_key_by_session_id": own(query=_version, shows="secret-key"),
    "put_room_keys": own(query=_version, body=_fixed(rooms={}), hers=True),
    "put_room_keys_by_room_id": own(query=_version, body=_fixed(sessions={}), hers=True),
    "put_room_key_by_session_id": own(query=_version, body=lambda _: key("secret-key"), hers=True),
    "delete_room_keys": own(query=_version, hers=True),
    "delete_room_keys_by_room_id": own(query=_version, hers=True),
    "delete_room_key_by_session_id": own(query=_version, hers=True),
    "get_dehydrated_device": own(hers=True),
    "put_dehydrated_device": own(body=lambda scene: upload(scene.ada.user_id), hers=True),
    "delete_dehydrated_device": own(hers=True),
    "get_dehydrated_device_events": own(values={"device_id": asleep()}, hers=True),
    "post_dehydrated_device_events": own(values={"device_id": asleep()}, hers=True),
    # -- keys and letters ------------------------------------------------------------------------
    "upload_keys": own(body=_fixed()),
    "query_keys": own(
        body=lambda scene: {"device_keys": {scene.ada.user_id: []}},
        tells=frozenset({"secret-device"}),
    ),
    "claim_keys": own(
        body=lambda scene: {
            "one_time_keys": {scene.ada.user_id: {scene.ada.phone.device_id: "signed_curve25519"}}
        }
    ),
    "get_keys_changes": own(
        query=lambda scene: {"from": str(scene.ada.phone.since), "to": str(scene.ada.phone.since)}
    ),
    "upload_cross_signing_keys": own(body=_fixed()),
    "upload_cross_signing_signatures": own(body=_fixed()),
    "send_to_device": own(
        body=_fixed(messages={}), values={"event_type": "x.letter", "txn_id": "letter"}
    ),
    # -- files: for everybody with an account who was told where they are --------------------------
    "get_config": own(),
    "get_config_authed": own(),
    "upload_content": own(body=lambda _: b"a file"),
    "create_content": own(),
    "upload_content_to_mxc": theirs(
        body=lambda _: b"secret-file", values={"media_id": "announced"}
    ),
    "get_content_thumbnail": own(query=lambda _: {"width": "32", "height": "32"}, status=400),
    "get_content_thumbnail_authed": own(
        query=lambda _: {"width": "32", "height": "32"}, status=400
    ),
    "get_content": own(tells=frozenset({"secret-file"}), shows="secret-file"),
    "get_content_authed": own(tells=frozenset({"secret-file"}), shows="secret-file"),
    "get_content_override_name": own(tells=frozenset({"secret-file"}), shows="secret-file"),
    "get_content_override_name_authed": own(tells=frozenset({"secret-file"}), shows="secret-file"),
    # -- a room: its reading ---------------------------------------------------------------------
    "get_room_events": theirs(
        query=lambda _: {"dir": "b", "limit": "100"}, shows="secret-message", also=FORMER
    ),
    "get_room_state": theirs(shows="secret-topic", also=FORMER),
    "get_room_state_with_key": theirs(shows="secret-topic", values=TOPIC),
    "get_members_by_room": theirs(shows="secret-reason", also=FORMER),
    "get_joined_members_by_room": theirs(shows="gus"),
    "get_one_room_event": theirs(shows="secret-message"),
    "get_event_context": theirs(shows="secret-message"),
    "get_event_by_timestamp": theirs(query=lambda _: {"dir": "f", "ts": "0"}, also=FORMER),
    "get_local_aliases": theirs(shows="secret-alias"),
    "get_room_summary": theirs(shows="A quiet room", but=INVITED),
    "get_space_hierarchy": theirs(shows="A quiet room", but=INVITED),
    "get_room_visibility_on_directory": public(),
    "get_room_id_by_alias": public(),
    # -- a room: what is done in it ----------------------------------------------------------------
    "send_message": theirs(
        body=_fixed(body="secret-word", msgtype="m.text"), values={"event_type": "m.room.message"}
    ),
    "set_room_state_with_key": theirs(body=_fixed(topic="secret-topic"), values=TOPIC),
    "redact_event": theirs(),
    "set_room_alias": theirs(
        body=lambda scene: {"room_id": scene.room}, values={"room_alias": "#secret-other:localhost"}
    ),
    "delete_room_alias": theirs(),
    "set_room_visibility_on_directory": theirs(body=_fixed(visibility="public")),
    "upgrade_room": theirs(body=_fixed(new_version="12")),
    "report_event": theirs(body=_fixed(reason="secret-reason")),
    "report_room": own(body=_fixed(reason="secret-reason")),
    "report_user": own(body=_fixed(reason="secret-reason")),
    "knock_room": own(values={"room_id_or_alias": "#door:localhost"}),
    "set_typing": theirs(body=_fixed(typing=True)),
    "invite_user": theirs(body=_user("guest")),
    "kick": theirs(body=_user("kicked")),
    "ban": theirs(body=_user("gus")),
    "unban": theirs(body=_user("banned")),
    "join_room": theirs(by="invited", but=INVITED),
    "join_room_by_id": theirs(by="second guest", but=INVITED),
    "leave_room": theirs(by="leaver", also=FORMER, but=INVITED),
    "forget_room": theirs(by="former", but=FORMER | INVITED),
}

LAST: Final = (
    *("redact_event", "delete_profile_field", "ban", "unban", "delete_dehydrated_device"),
    *("delete_room_key_by_session_id", "delete_room_keys_by_room_id", "delete_room_keys"),
    *("delete_room_keys_version", "delete_room_alias", "set_room_visibility_on_directory"),
    "upgrade_room",
)
"""Done with success after the others, which need what these take away."""


@pytest.fixture
async def scene(world: World) -> Scene:
    ada = await world.person("ada")
    phone = ada.phone
    names = ("outsider", "former", "invited", "guest", "second guest", "kicked", "gus", "leaver")
    people = {name: await world.person(name.replace(" ", "")) for name in (*names, "banned")}
    room = await phone.creates(preset="private_chat", name="A quiet room")
    for name in ("former", "kicked", "gus", "leaver"):
        await phone.invites(room, people[name].user_id)
        await people[name].phone.joins(room)
    await people["former"].phone.leaves(room)
    await phone.ask(
        "POST",
        f"{V3}/rooms/{quote(room)}/ban",
        {"user_id": people["banned"].user_id, "reason": "secret-reason"},
    )
    await phone.sets(room, "m.room.topic", {"topic": "secret-topic"})
    event = await phone.says(room, "secret-message")
    await phone.syncs()
    for name in ("invited", "second guest"):
        await phone.invites(room, people[name].user_id)
    user = f"{V3}/user/{quote(ada.user_id)}"
    await phone.ask("PUT", f"{user}/account_data/x.secret", {"is": "secret-data"})
    per_room = f"{user}/rooms/{quote(room)}/account_data/x.secret"
    await phone.ask("PUT", per_room, {"is": "secret-room-data"})
    await phone.ask("PUT", f"{V3}/devices/{phone.device_id}", {"display_name": "secret-device"})
    profile = f"{V3}/profile/{quote(ada.user_id)}/displayname"
    await phone.ask("PUT", profile, {"displayname": "Ada"})
    wanted = {"room": {"timeline": {"types": ["secret-filter"]}}}
    found = await phone.ask("POST", f"{user}/filter", wanted)
    letter = {"messages": {ada.user_id: {"*": {"is": "secret-letter"}}}}
    gus = people["gus"].phone
    await gus.ask("PUT", f"{V3}/sendToDevice/x.letter/t1", letter)
    status, media = await world.request(
        "POST", "/_matrix/media/v3/upload", b"secret-file", token=phone.token
    )
    assert status == 200, media
    status, sign_in = await world.request(
        "POST",
        f"{V3}/login",
        {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": "outsider"},
            "password": PASSWORD,
            "refresh_token": True,
        },
    )
    assert status == 200, sign_in
    version = await begins(phone, note="secret-auth")
    await puts(phone, version, {room: {SESSION: key("secret-key")}})
    await phone.ask("PUT", DEHYDRATED, upload(ada.user_id))
    announced = await phone.ask("POST", "/_matrix/media/v1/create")
    alias = f"{V3}/directory/room/{quote('#secret-alias:localhost')}"
    await phone.ask("PUT", alias, {"room_id": room})
    rule = {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}
    await phone.creates(room_alias_name="door", initial_state=[rule])
    await world.services.settled()
    scene = Scene(
        world,
        ada,
        room,
        {name: person.phone for name, person in people.items()},
        {
            "user_id": ada.user_id,
            "room_id": room,
            "room_id_or_alias": room,
            "event_id": event,
            "device_id": phone.device_id,
            "filter_id": found["filter_id"],
            "type": "x.secret",
            "key_name": "displayname",
            "server_name": "localhost",
            "media_id": media["content_uri"].rpartition("/")[2],
            "file_name": "file.txt",
            "version": version,
            "session_id": SESSION,
            "announced": announced["content_uri"].rpartition("/")[2],
            "room_alias": "#secret-alias:localhost",
        },
        sign_in["refresh_token"],
    )
    await phone.ask("POST", f"{V3}/pushers/set", _pusher(scene))
    return scene


def _turn(name: str) -> int:
    return LAST.index(name) if name in LAST else -1


def _served() -> list[tuple[str, Handler]]:
    """Every handler under the name of its table row."""
    return [(handler.__module__.rpartition(".")[2], handler) for handler in handlers()]


def test_every_endpoint_that_is_served_is_classified() -> None:
    served = {name for name, _ in _served()}

    assert served == CASES.keys()


async def test_strangers_learn_no_secret_and_change_nothing(scene: Scene) -> None:
    before = await scene.picture()
    wrong: list[str] = []

    for name, handler in _served():
        case = CASES[name]
        for route in routes_of(handler):
            for passer in PASSERS:
                if passer not in case.but:
                    told = await _walk_by(scene, case, route.method, route.path, passer)
                    wrong += [f"{name} {route.method} {route.path} by {passer}: {w}" for w in told]

    assert not wrong, "\n".join(wrong)
    assert await scene.picture() == before


async def _walk_by(scene: Scene, case: Case, method: str, template: str, passer: str) -> list[str]:
    """What is wrong with the answer that a passer gets."""
    device = None if passer == "nobody" else scene.devices[passer]
    if case.kind == "self" and device is not None:
        # They may end their own account by it: somebody who has come for this alone.
        device = (await scene.world.person(f"passer{next(_numbers)}")).phone
    path = scene.path(template, **case.values)
    status, text = await scene.asks(device, method, path, case)
    words = {word for word in _secrets_in(text) if word not in case.tells}
    wrong = [f"tells {words}"] if words else []
    if status >= 500:
        wrong.append(f"answered {status} {text}")
    if case.kind == "public":
        return wrong
    if device is None:
        # Files are asked for without a token by old clients: there they are not there.
        return wrong if status in (401, 404) else [*wrong, f"answered {status} {text}"]
    if case.kind == "theirs" and passer not in case.also and status not in (403, 404):
        wrong.append(f"answered {status} {text}")
    if "room_id" in template and passer == "outsider" and status != 200:
        elsewhere = {"room_id": NO_SUCH_ROOM, "room_id_or_alias": NO_SUCH_ROOM}
        nowhere = scene.path(template, **{**case.values, **elsewhere})
        other = await scene.asks(device, method, nowhere, case)
        if (status, text) != other:
            wrong.append(f"knows the room: {status} {text}, for one that isn't there {other}")
    return wrong


async def test_the_same_requests_succeed_for_whom_they_are(scene: Scene) -> None:
    """So that each refusal, and each secret that wasn't told, could have been otherwise."""
    failed: list[str] = []

    for name, handler in sorted(_served(), key=lambda each: _turn(each[0])):
        case = CASES[name]
        for route in routes_of(handler):
            device = scene.ada.phone if case.by == "ada" else scene.devices.get(case.by)
            if case.kind == "self" and case.shows is None and not case.hers:
                device = (await scene.world.person(f"someone{next(_numbers)}")).phone
            path = scene.path(route.path, **case.values)
            status, text = await scene.asks(device, route.method, path, case)
            if status != case.status or (case.shows or "") not in text:
                failed.append(f"{name} {route.method} {path}: {status} {text}")

    assert not failed, "\n".join(failed)


async def test_a_letter_between_devices_is_in_no_answer_but_its_own(scene: Scene) -> None:
    answer = await scene.ada.phone.syncs(since=None)

    assert "secret-letter" in orjson.dumps(answer).decode()
    for device in scene.devices.values():
        assert "secret-letter" not in orjson.dumps(await device.syncs(since=None)).decode()


def _secrets_in(text: str) -> set[str]:
    return {
        SECRET + part.split('"')[0].split("\\")[0].split(" ")[0] for part in text.split(SECRET)[1:]
    }


def _without_times(value: object) -> object:
    if isinstance(value, dict):
        gone = ("age", "last_seen_ts", "last_seen_ip", "start")
        return {k: _without_times(v) for k, v in value.items() if k not in gone}
    if isinstance(value, list):
        return [_without_times(each) for each in value]
    return value
