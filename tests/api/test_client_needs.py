"""What clients need beyond the specification's text, as far as it is served.

Element X, Element Web, Cinny and matrix-nio decide by such small things what a server can do, and
whether they work with it at all.
"""

from typing import Any
from urllib.parse import quote

import pytest

from posthouse.accounts import RegistrationMode
from posthouse.app.config import RegistrationSettings
from tests.world import PASSWORD, V3, Device, World

V1 = "/_matrix/client/v1"
UNSTABLE = "/_matrix/client/unstable"
LOGIN = {
    "type": "m.login.password",
    "identifier": {"type": "m.id.user", "user": "ada"},
    "password": PASSWORD,
}


# -- what a server says of itself ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{V1}/auth_metadata"),
        ("GET", f"{UNSTABLE}/org.matrix.msc2965/auth_metadata"),
        ("GET", f"{UNSTABLE}/org.matrix.msc4143/rtc/transports"),
        ("POST", f"{UNSTABLE}/org.matrix.simplified_msc3575/sync"),
        ("GET", f"{UNSTABLE}/io.element.msc4388/rendezvous"),
        ("GET", "/_matrix/client/v9/sync"),
        ("GET", "/_matrix/client"),
        ("GET", "/_matrix"),
        ("PATCH", "/_matrix/nothing"),
    ],
)
async def test_a_route_that_is_not_served_is_unrecognized(
    world: World, method: str, path: str
) -> None:
    """Never M_NOT_FOUND, by which clients would take the feature for one that has nothing yet."""
    ada = await world.person("ada")

    for token in (None, ada.phone.token):
        status, answer = await world.request(method, path, token=token)
        assert (status, answer["errcode"]) == (404, "M_UNRECOGNIZED")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", f"{V3}/login"),
        ("POST", f"{V3}/sync"),
        ("DELETE", "/_matrix/client/versions"),
        ("PATCH", f"{V3}/createRoom"),
        ("GET", f"{V3}/rooms/!room:localhost/send/m.room.message/1"),
    ],
)
async def test_a_wrong_method_is_405_and_unrecognized(world: World, method: str, path: str) -> None:
    answered = await world.exchange(method, path)

    assert (answered.status, answered.json["errcode"]) == (405, "M_UNRECOGNIZED")
    assert method not in answered.headers["Allow"].split(", ")


async def test_each_version_is_listed_and_each_feature_is_a_boolean(world: World) -> None:
    """js-sdk looks for exact strings; the Rust SDK takes a map of booleans or nothing."""
    _, answer = await world.request("GET", "/_matrix/client/versions")

    assert answer["versions"] == [f"v1.{minor}" for minor in range(1, 13)]
    assert {type(value) for value in answer["unstable_features"].values()} == {bool}
    not_served = ("org.matrix.simplified_msc3575", "org.matrix.msc4140", "org.matrix.msc4354")
    assert not answer["unstable_features"].keys() & {*not_served}


async def test_the_capabilities_that_clients_read_are_all_there(world: World) -> None:
    ada = await world.person("ada")

    capabilities = (await ada.phone.ask("GET", f"{V3}/capabilities"))["capabilities"]

    versions = capabilities["m.room_versions"]
    assert versions["default"] == "12"
    assert versions["available"] == {"10": "stable", "11": "stable", "12": "stable"}
    for enabled in ("m.change_password", "m.profile_fields", "m.set_displayname"):
        assert capabilities[enabled] == {"enabled": True}
    for disabled in ("m.3pid_changes", "m.get_login_token"):
        assert capabilities[disabled] == {"enabled": False}


async def test_the_well_known_names_no_identity_server(world: World) -> None:
    """js-sdk would ask it, and complain."""
    _, answer = await world.request("GET", "/.well-known/matrix/client")

    assert answer == {"m.homeserver": {"base_url": world.address}}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/_matrix/client/versions", 200),
        ("HEAD", "/_matrix/client/versions", 200),
        ("GET", "/.well-known/matrix/client", 200),
        ("GET", "/.well-known/matrix/support", 404),
        ("GET", "/.well-known/matrix/nothing", 404),
        ("GET", f"{V3}/sync", 401),
        ("GET", f"{V3}/nothing", 404),
        ("PUT", f"{V3}/login", 405),
        ("POST", f"{V3}/register", 401),
        ("OPTIONS", f"{V3}/sync", 204),
        ("OPTIONS", f"{V3}/nothing", 204),
        ("OPTIONS", "/.well-known/matrix/client", 204),
        ("OPTIONS", "/_matrix/media/v3/upload", 204),
    ],
)
async def test_a_page_of_another_origin_may_read_every_answer(
    world: World, method: str, path: str, status: int
) -> None:
    """Errors included: without the headers a browser hides from the client what went wrong."""
    answered = await world.exchange(
        method,
        path,
        b"{}" if method == "POST" else None,
        headers={"Origin": "https://web.example", "Access-Control-Request-Method": "GET"},
    )

    assert answered.status == status
    assert answered.headers["Access-Control-Allow-Origin"] == "*"
    for allowed in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
        assert allowed in answered.headers["Access-Control-Allow-Methods"]
    for allowed in ("X-Requested-With", "Content-Type", "Authorization"):
        assert allowed in answered.headers["Access-Control-Allow-Headers"]


async def test_head_answers_as_get_without_the_body(world: World) -> None:
    get = await world.exchange("GET", "/_matrix/client/versions")
    head = await world.exchange("HEAD", "/_matrix/client/versions")

    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(get.body))


# -- signing in ------------------------------------------------------------------------------------


async def test_a_refresh_token_goes_to_who_asked_for_one(world: World) -> None:
    """Element X signs out again where it sees one unasked."""
    await world.person("ada")

    for wish, given in (
        ({}, False),
        ({"refresh_token": False}, False),
        ({"refresh_token": True}, True),
    ):
        _, session = await world.request("POST", f"{V3}/login", {**LOGIN, **wish})
        assert ("refresh_token" in session) is given
        assert ("expires_in_ms" in session) is given


async def test_a_body_without_anything_learns_the_flows_of_registration(world: World) -> None:
    """Cinny asks `POST /register {}` before it shows its page, and takes 401, 403 or 429."""
    status, answer = await world.request("POST", f"{V3}/register", {})

    assert status == 401
    assert answer["flows"] == [{"stages": ["m.login.dummy"]}]
    assert answer["session"]
    assert "errcode" not in answer

    await world.become(registration=RegistrationSettings(RegistrationMode.CLOSED))
    status, answer = await world.request("POST", f"{V3}/register", {})
    assert (status, answer["errcode"]) == (403, "M_FORBIDDEN")


async def test_guests_are_refused(world: World) -> None:
    status, answer = await world.request("POST", f"{V3}/register", {}, kind="guest")

    assert (status, answer["errcode"]) == (403, "M_GUEST_ACCESS_FORBIDDEN")


async def test_a_token_may_come_in_the_query(world: World) -> None:
    """Older matrix-nio sends it there."""
    ada = await world.person("ada")

    status, answer = await world.request(
        "GET", f"{V3}/account/whoami", access_token=ada.phone.token
    )
    assert (status, answer["user_id"]) == (200, ada.user_id)
    status, answer = await world.request("GET", f"{V3}/account/whoami", access_token="no")
    assert (status, answer["errcode"]) == (401, "M_UNKNOWN_TOKEN")
    status, answer = await world.request("GET", f"{V3}/account/whoami")
    assert (status, answer["errcode"]) == (401, "M_MISSING_TOKEN")


async def test_an_account_that_was_closed_is_told_apart_from_a_wrong_password(
    world: World,
) -> None:
    ada = await world.person("ada")

    status, answer = await world.request("POST", f"{V3}/login", {**LOGIN, "password": "wrong"})
    assert (status, answer["errcode"]) == (403, "M_FORBIDDEN")
    await ada.phone.ask("POST", f"{V3}/account/deactivate", {"auth": LOGIN})
    status, answer = await world.request("POST", f"{V3}/login", LOGIN)
    assert (status, answer["errcode"]) == (403, "M_USER_DEACTIVATED")


@pytest.mark.parametrize("type_", ["m.secret_storage.default_key", "m.cross_signing.master"])
async def test_account_data_that_is_not_there_is_not_found(world: World, type_: str) -> None:
    """Where encryption keeps its secrets; another errcode would stop it from being set up."""
    ada = await world.person("ada")

    refused = await ada.phone.refusal("GET", f"{V3}/user/{ada.user_id}/account_data/{type_}")

    assert (refused.status, refused.errcode) == (404, "M_NOT_FOUND")


# -- rooms ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query", ["org.matrix.msc4140.delay", "org.matrix.msc4140.parent_delay_id"]
)
async def test_a_delayed_event_is_refused_and_never_performed(world: World, query: str) -> None:
    """Performed at once, the delayed "I left" of Element Call would end each call as it begins."""
    ada = await world.person("ada")
    room = await world.room(ada)
    before = await ada.phone.messages(room, dir="b")

    place = f"{V3}/rooms/{quote(room)}"
    for path in ("send/m.room.message/t1", "state/org.example/key", "state/org.example"):
        refused = await ada.phone.refusal("PUT", f"{place}/{path}?{query}=8000", {"a": 1})
        assert (refused.status, refused.errcode) == (400, "M_UNRECOGNIZED")

    assert (await ada.phone.messages(room, dir="b"))["chunk"][0]["event_id"] == (
        before["chunk"][0]["event_id"]
    )


@pytest.mark.parametrize("version", ["10", "11", "12"])
async def test_everybody_may_say_that_they_are_in_a_call(world: World, version: str) -> None:
    """Whatever else the client asks of the power levels."""
    ada, boris = await world.person("ada"), await world.person("boris")
    override = {"events": {"m.room.name": 100}, "users_default": 0}
    room = await world.room(ada, boris, room_version=version, power_level_content_override=override)

    for type_ in ("org.matrix.msc3401.call.member", "m.call.member"):
        key = f"_{boris.user_id}_{boris.phone.device_id}_m.call"
        await boris.phone.sets(room, type_, {"application": "m.call"}, key)
    refused = await boris.phone.refusal(
        "PUT", f"{V3}/rooms/{quote(room)}/state/m.room.name/", {"name": "x"}
    )
    assert refused.status == 403


async def test_servers_to_go_through_are_taken_and_not_needed(world: World) -> None:
    ada, boris, carl = [await world.person(name) for name in ("ada", "boris", "carl")]
    room = await world.room(ada)

    way = f"{V3}/join/{quote(room)}?via=elsewhere&via=localhost&server_name=elsewhere"
    for guest in (boris, carl):
        assert await guest.phone.ask("POST", way, {}) == {"room_id": room}


async def test_the_id_of_a_room_of_version_12_has_no_server_in_it(world: World) -> None:
    ada = await world.person("ada")
    room = await world.room(ada)

    assert ":" not in room
    assert room in (await ada.phone.syncs())["rooms"]["join"]


@pytest.mark.parametrize("said", [{}, {"m.federate": False}, {"m.federate": True}])
async def test_what_the_creator_says_of_other_servers_is_kept_and_nothing_added(
    world: World, said: dict[str, Any]
) -> None:
    """`m.federate: false` can never be taken back."""
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris, creation_content=said)

    create = await ada.phone.ask("GET", f"{V3}/rooms/{quote(room)}/state/m.room.create/")
    assert {k: v for k, v in create.items() if k == "m.federate"} == said


async def test_a_server_acl_and_the_vias_of_a_space_are_stored_as_they_are(world: World) -> None:
    ada = await world.person("ada")
    space = await world.room(ada, creation_content={"type": "m.space"})

    for type_, key, content in (
        ("m.room.server_acl", "", {"allow": ["*"], "deny": ["elsewhere"]}),
        ("m.space.child", "!child:elsewhere", {"via": ["elsewhere"]}),
    ):
        await ada.phone.sets(space, type_, content, key)
        path = f"{V3}/rooms/{quote(space)}/state/{type_}/{quote(key)}"
        assert await ada.phone.ask("GET", path) == content


async def test_people_are_not_invited_by_their_address(world: World) -> None:
    ada = await world.person("ada")
    room = await world.room(ada)
    address = {"id_server": "x", "id_access_token": "x", "medium": "email", "address": "b@x"}

    for path, body in (
        (f"{V3}/createRoom", {"invite_3pid": [address]}),
        (f"{V3}/rooms/{quote(room)}/invite", address),
    ):
        refused = await ada.phone.refusal("POST", path, body)
        assert (refused.status, refused.errcode) == (403, "M_THREEPID_DENIED")


# -- people and servers elsewhere ------------------------------------------------------------------


async def test_nobody_of_another_server_is_found_or_invited(world: World) -> None:
    """Element's invite dialog asks for the profile first."""
    ada = await world.person("ada")
    room = await world.room(ada)
    stranger = "@carl:elsewhere.example"

    refused = await ada.phone.refusal("GET", f"{V3}/profile/{stranger}")
    assert (refused.status, refused.errcode) == (404, "M_NOT_FOUND")
    for path, body in (
        (f"{V3}/rooms/{quote(room)}/invite", {"user_id": stranger}),
        (f"{V3}/createRoom", {"invite": [stranger]}),
    ):
        refused = await ada.phone.refusal("POST", path, body)
        assert (refused.status, refused.errcode) == (403, "M_FORBIDDEN")


async def test_keys_of_another_servers_people_are_a_failure_of_that_server(world: World) -> None:
    ada = await world.person("ada")
    stranger = "@carl:elsewhere.example"

    for path, body, found in (
        ("query", {"device_keys": {stranger: [], ada.user_id: []}}, "device_keys"),
        ("claim", {"one_time_keys": {stranger: {"D": "signed_curve25519"}}}, "one_time_keys"),
    ):
        answer = await ada.phone.ask("POST", f"{V3}/keys/{path}", body)
        assert stranger not in answer[found]
        assert "elsewhere.example" in answer["failures"]


async def test_messages_to_devices_elsewhere_are_swallowed(world: World) -> None:
    ada = await world.person("ada")
    messages = {"@carl:elsewhere.example": {"*": {}}, ada.user_id: {ada.phone.device_id: {"a": 1}}}

    await ada.phone.ask("PUT", f"{V3}/sendToDevice/org.example/t1", {"messages": messages})

    events = (await ada.phone.syncs())["to_device"]["events"]
    assert [event["content"] for event in events] == [{"a": 1}]


async def test_media_of_another_server_is_not_found_at_once(world: World) -> None:
    ada = await world.person("ada")

    for folder in (f"{V1}/media", "/_matrix/media/v3"):
        refused = await ada.phone.refusal(
            "GET",
            f"{folder}/download/elsewhere.example/abc",
            allow_remote="true",
            timeout_ms=20_000,
        )
        assert (refused.status, refused.errcode) == (404, "M_NOT_FOUND")


async def test_the_size_of_uploads_is_told_on_the_old_path_too(world: World) -> None:
    """js-sdk's default, and Cinny's."""
    ada = await world.person("ada")

    for folder in (f"{V1}/media", "/_matrix/media/v3"):
        assert (await ada.phone.ask("GET", f"{folder}/config"))["m.upload.size"] > 0


# -- names from before a feature was stable --------------------------------------------------------


async def test_profile_fields_are_served_under_the_unstable_name_too(world: World) -> None:
    ada = await world.person("ada")
    places = [f"{V3}/profile", f"{UNSTABLE}/uk.tcpip.msc4133/profile"]

    for write, read in (places, reversed(places)):
        path = f"{write}/{ada.user_id}/org.example.colour"
        await ada.phone.ask("PUT", path, {"org.example.colour": write})
        found = await ada.phone.ask("GET", f"{read}/{ada.user_id}/org.example.colour")
        assert found == {"org.example.colour": write}
    await ada.phone.ask("DELETE", f"{places[1]}/{ada.user_id}/org.example.colour")
    assert "org.example.colour" not in await ada.phone.ask("GET", f"{V3}/profile/{ada.user_id}")


async def test_only_the_state_after_that_was_asked_for_is_told(world: World) -> None:
    """js-sdk knows the unstable name alone."""
    ada = await world.person("ada")
    room = await world.room(ada)

    for query, name in (
        ("use_state_after", "state_after"),
        ("org.matrix.msc4222.use_state_after", "org.matrix.msc4222.state_after"),
    ):
        first = await joined(ada.phone, room, since=None, **{query: "true"})
        assert "state" not in first
        assert {event["type"] for event in first[name]["events"]} >= {"m.room.create"}
        await ada.phone.sets(room, "m.room.topic", {"topic": query})
        live = await joined(ada.phone, room, **{query: "true"})
        assert [event["content"] for event in live[name]["events"]] == [{"topic": query}]


async def joined(device: Device, room: str, **query: Any) -> Any:
    """A sync's part about a room that the device's person is in."""
    return (await device.syncs(**query))["rooms"]["join"][room]
