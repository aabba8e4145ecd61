"""Every answer that is served has the shape that the specification gives it.

One story for each domain, told over HTTP; the watcher judges every answer on the way. A story ends
with the question what of its domain was not asked: an endpoint, or a documented status, that is
served without a case fails there.
"""

import re

import orjson
import pytest

from posthouse.accounts import RegistrationMode
from posthouse.app.config import RegistrationSettings, SupportSettings
from posthouse.http import LimitSettings
from posthouse.matrix import sign_json
from posthouse.media import MediaSettings
from tests.api.watching import Watch, rate_limited
from tests.devices.office import key_pair
from tests.media.pictures import jpeg, png_header
from tests.world import PASSWORD, V3, Device, Json, World

V1 = "/_matrix/client/v1"
KEY = "A" * 43
PNG = b"\x89PNG\r\n\x1a\n"
IDENTIFIER = {"type": "m.id.user", "user": "ada"}
PROOF = {"type": "m.login.password", "identifier": IDENTIFIER, "password": PASSWORD}


async def test_the_servers_own_answers(world: World) -> None:
    watch = Watch(world)
    ada = await world.person("ada")

    await world.request("GET", "/_matrix/client/versions")
    await world.request("GET", "/.well-known/matrix/client")
    await world.request("GET", "/.well-known/matrix/support")
    await ada.phone.ask("GET", f"{V3}/capabilities")
    await ada.phone.ask("GET", f"{V3}/voip/turnServer")
    await ada.phone.ask("GET", f"{V3}/thirdparty/protocols")
    for path in ("protocol/irc", "location/irc", "user/irc", "location?alias=x", "user?userid=x"):
        assert (await ada.phone.refusal("GET", f"{V3}/thirdparty/{path}")).status == 404

    await world.become(support=SupportSettings(page="https://help.example"))
    assert (await world.request("GET", "/.well-known/matrix/support"))[0] == 200

    assert watch.missing("app") == []


async def test_accounts(world: World) -> None:
    watch = Watch(world)
    ada, boris = await world.person("ada"), await world.person("boris")

    await _ways_in(world)
    await _devices(world, await world.another_device(ada), ada.phone)
    await _profiles(world, ada.phone, boris.phone)
    await _personal_data(ada.phone, boris.phone)
    await ada.phone.ask("GET", f"{V3}/admin/whois/{ada.user_id}")
    await ada.phone.ask("POST", f"{V3}/user/{ada.user_id}/openid/request_token", {})
    await _ways_out(world, ada.phone)

    await world.become(registration=RegistrationSettings(RegistrationMode.TOKEN))
    validity = f"{V1}/register/m.login.registration_token/validity"
    assert (await world.request("GET", validity, token_="abc"))[1] == {"valid": False}

    assert watch.missing("accounts") == []


async def _ways_in(world: World) -> None:
    await world.request("POST", f"{V3}/register", {})
    for username in ("boris", "not a name"):
        body = {"username": username, "password": PASSWORD}
        assert (await world.request("POST", f"{V3}/register", body))[0] == 400
    assert (await world.request("POST", f"{V3}/register", {}, kind="guest"))[0] == 403
    available = f"{V3}/register/available"
    assert (await world.request("GET", available, username="new"))[0] == 200
    assert (await world.request("GET", available, username="boris"))[0] == 400
    validity = f"{V1}/register/m.login.registration_token/validity"
    assert (await world.request("GET", validity, token_="abc"))[0] == 403
    await world.request("GET", f"{V3}/login")
    login = {"type": "m.login.password", "identifier": IDENTIFIER}
    assert (await world.request("POST", f"{V3}/login", {"type": "m.login.magic"}))[0] == 400
    wrong = {**login, "password": "wrong"}
    assert (await world.request("POST", f"{V3}/login", wrong))[0] == 403
    renewable = {**login, "password": PASSWORD, "refresh_token": True}
    _, session = await world.request("POST", f"{V3}/login", renewable)
    renewal = {"refresh_token": session["refresh_token"]}
    assert (await world.request("POST", f"{V3}/refresh", renewal))[0] == 200
    assert (await world.request("POST", f"{V3}/refresh", {"refresh_token": "no"}))[0] == 401


async def _devices(world: World, other: Device, phone: Device) -> None:
    await phone.ask("GET", f"{V3}/account/whoami")
    assert (await world.request("GET", f"{V3}/account/whoami", token="no"))[0] == 401
    await phone.ask("GET", f"{V3}/account/3pid")
    await phone.ask("GET", f"{V3}/devices")
    await phone.ask("PUT", f"{V3}/devices/{other.device_id}", {"display_name": "laptop"})
    await phone.ask("GET", f"{V3}/devices/{other.device_id}")
    assert (await phone.refusal("GET", f"{V3}/devices/NO")).status == 404
    assert (await phone.refusal("PUT", f"{V3}/devices/NO", {"display_name": "x"})).status == 404
    assert (await phone.refusal("DELETE", f"{V3}/devices/{other.device_id}", {})).status == 401
    await phone.ask("DELETE", f"{V3}/devices/{other.device_id}", {"auth": PROOF})
    gone = {"devices": [other.device_id]}
    assert (await phone.refusal("POST", f"{V3}/delete_devices", gone)).status == 401
    await phone.ask("POST", f"{V3}/delete_devices", {**gone, "auth": PROOF})


async def _profiles(world: World, phone: Device, stranger: Device) -> None:
    profile = f"{V3}/profile/{phone.user_id}"
    await phone.ask("PUT", f"{profile}/displayname", {"displayname": "Ada"})
    await phone.ask("PUT", f"{profile}/avatar_url", {"avatar_url": "mxc://localhost/abc"})
    assert (await phone.refusal("PUT", f"{profile}/displayname", {})).status == 400
    other = {"displayname": "Mallory"}
    assert (await stranger.refusal("PUT", f"{profile}/displayname", other)).status == 403
    assert (await world.request("GET", f"{profile}/displayname"))[1] == {"displayname": "Ada"}
    assert (await world.request("GET", f"{profile}/m.tz"))[0] == 404
    await world.request("GET", profile)
    assert (await world.request("GET", f"{V3}/profile/@nobody:localhost"))[0] == 404
    assert (await stranger.refusal("DELETE", f"{profile}/displayname")).status == 403
    assert (await phone.refusal("DELETE", f"{profile}/Not-a-key")).status == 400
    await phone.ask("DELETE", f"{profile}/displayname")


async def _personal_data(phone: Device, stranger: Device) -> None:
    mine = f"{V3}/user/{phone.user_id}"
    for place in (f"{mine}/account_data", f"{mine}/rooms/!room:localhost/account_data"):
        await phone.ask("PUT", f"{place}/org.example", {"a": 1})
        await phone.ask("GET", f"{place}/org.example")
        assert (await phone.refusal("GET", f"{place}/org.example.none")).status == 404
        assert (await phone.refusal("PUT", f"{place}/m.fully_read", {})).status == 405
        assert (await stranger.refusal("GET", f"{place}/org.example")).status == 403
        assert (await stranger.refusal("PUT", f"{place}/org.example", {})).status == 403
        status, _ = await phone.world.request("PUT", f"{place}/x", b"no", token=phone.token)
        assert status == 400
    no_room = f"{mine}/rooms/room/account_data/org.example"
    assert (await phone.refusal("GET", no_room)).errcode == "M_INVALID_PARAM"
    filter_id = (await phone.ask("POST", f"{mine}/filter", {"room": {}}))["filter_id"]
    await phone.ask("GET", f"{mine}/filter/{filter_id}")
    assert (await phone.refusal("GET", f"{mine}/filter/none")).status == 404


async def _ways_out(world: World, phone: Device) -> None:
    change = {"new_password": "another " + PASSWORD}
    assert (await phone.refusal("POST", f"{V3}/account/password", change)).status == 401
    await phone.ask("POST", f"{V3}/account/password", {**change, "auth": PROOF})
    await phone.ask("POST", f"{V3}/logout", {})
    proof = {**PROOF, "password": change["new_password"]}
    _, session = await world.request("POST", f"{V3}/login", proof)
    last = {"token": session["access_token"]}
    assert (await world.request("POST", f"{V3}/account/deactivate", **last))[0] == 401
    boris = await world.another_device(await world.person("boris"))
    await boris.ask("POST", f"{V3}/logout/all", {})
    farewell = {"auth": proof}
    assert (await world.request("POST", f"{V3}/account/deactivate", farewell, **last))[0] == 200


async def test_media(world: World) -> None:
    watch = Watch(world)
    ada = await world.person("ada")
    token = ada.phone.token

    _, uploaded = await world.request("POST", "/_matrix/media/v3/upload", PNG, token=token)
    place = uploaded["content_uri"].removeprefix("mxc://")
    for folder in (f"{V1}/media", "/_matrix/media/v3"):
        await ada.phone.ask("GET", f"{folder}/config")
        for path in (f"{folder}/download/{place}", f"{folder}/download/{place}/a.png"):
            picture = await world.exchange("GET", path, token=token)
            assert (picture.status, picture.body) == (200, PNG)
    await _thumbnails(world, ada.phone, picture=place)
    announced = await _announced(world, ada.phone, (await world.person("boris")).phone)
    await world.become(media=MediaSettings(upload_bytes_max=4, person_bytes_max=0))
    for content, status in ((PNG, 413), (b"abc", 403)):
        answer = await world.request("POST", "/_matrix/media/v3/upload", content, token=token)
        assert answer[0] == status
    assert (await world.request("PUT", announced, PNG, token=token))[0] == 413

    assert watch.missing("media") == []


async def _thumbnails(world: World, phone: Device, *, picture: str) -> None:
    """Of a picture, of what only begins like one, of one that is too large to be looked at."""
    places = {400: picture}
    for status, content in ((200, jpeg(64, 64)), (413, png_header(60_000, 60_000))):
        _, uploaded = await world.request(
            "POST", "/_matrix/media/v3/upload", content, token=phone.token
        )
        places[status] = uploaded["content_uri"].removeprefix("mxc://")
    for folder in (f"{V1}/media", "/_matrix/media/v3"):
        for status, place in places.items():
            path = f"{folder}/thumbnail/{place}?width=32&height=32&method=crop"
            answer = await world.exchange("GET", path, token=phone.token)
            assert answer.status == status


async def _announced(world: World, ada: Device, boris: Device) -> str:
    """An upload in advance, asked for before it comes; returns the path of one that never came."""
    paths = []
    for _ in range(2):
        created = await ada.ask("POST", "/_matrix/media/v1/create")
        paths.append(created["content_uri"].removeprefix("mxc://"))
    place, never = paths
    for folder in (f"{V1}/media", "/_matrix/media/v3"):
        for path in (
            f"{folder}/download/{place}?timeout_ms=0",
            f"{folder}/download/{place}/a.png?timeout_ms=0",
            f"{folder}/thumbnail/{place}?width=32&height=32&timeout_ms=0",
        ):
            assert (await world.exchange("GET", path, token=ada.token)).status == 504
    path = f"/_matrix/media/v3/upload/{place}"
    for token, status in ((boris.token, 403), (ada.token, 200), (ada.token, 409)):
        assert (await world.request("PUT", path, PNG, token=token))[0] == status
    unknown = "/_matrix/media/v3/upload/localhost/unknown"
    assert (await world.request("PUT", unknown, PNG, token=ada.token))[0] == 404
    return f"/_matrix/media/v3/upload/{never}"


async def test_devices(world: World) -> None:
    watch = Watch(world)
    ada, boris = await world.person("ada"), await world.person("boris")
    room = await world.room(ada, boris)
    await ada.phone.sets(room, "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
    before = (await boris.phone.syncs())["next_batch"]

    await _keys(ada.phone, boris.phone)
    await _cross_signing(ada.phone)
    await _key_backup(ada.phone)

    people: Json = {ada.user_id: [], boris.user_id: []}
    found = await boris.phone.ask("POST", f"{V3}/keys/query", {"device_keys": people})
    assert found["device_keys"][ada.user_id]
    assert found["master_keys"][ada.user_id]
    after = (await boris.phone.syncs())["next_batch"]
    await boris.phone.ask("GET", f"{V3}/keys/changes", None, from_=before, to=after)
    assert watch.missing("devices") == []


async def _keys(owner: Device, other: Device) -> None:
    name = f"ed25519:{owner.device_id}"
    device_keys = {
        "user_id": owner.user_id,
        "device_id": owner.device_id,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
        "keys": {name: KEY, f"curve25519:{owner.device_id}": KEY},
        "signatures": {owner.user_id: {name: "c2lnbmVk"}},
    }
    one_time = {"signed_curve25519:AAAA": {"key": KEY, "signatures": {}}}
    fallback = {"signed_curve25519:BBBB": {"key": KEY, "fallback": True, "signatures": {}}}
    upload = {"device_keys": device_keys, "one_time_keys": one_time, "fallback_keys": fallback}
    await owner.ask("POST", f"{V3}/keys/upload", upload)
    wanted = {"one_time_keys": {owner.user_id: {owner.device_id: "signed_curve25519"}}}
    for key in ("AAAA", "BBBB"):
        claimed = await other.ask("POST", f"{V3}/keys/claim", wanted)
        assert [*claimed["one_time_keys"][owner.user_id][owner.device_id]] == [
            f"signed_curve25519:{key}"
        ]
    letter = {"messages": {owner.user_id: {"*": {"a": 1}}}}
    await other.ask("PUT", f"{V3}/sendToDevice/org.example/t1", letter)


async def _cross_signing(owner: Device) -> None:
    upload = f"{V3}/keys/device_signing/upload"
    master = key_pair("master")
    keys = {
        usage: {
            "user_id": owner.user_id,
            "usage": [usage],
            "keys": {f"ed25519:{key_pair(usage).public_key}": key_pair(usage).public_key},
        }
        for usage in ("master", "self_signing", "user_signing")
    }
    refusal = await owner.refusal("POST", upload, {"self_signing_key": keys["self_signing"]})
    assert refusal.errcode == "M_MISSING_PARAM"
    upload_all = {f"{usage}_key": key for usage, key in keys.items()}
    assert (await owner.refusal("POST", upload, upload_all)).errcode == "M_INVALID_SIGNATURE"
    for usage in ("self_signing", "user_signing"):
        upload_all[f"{usage}_key"] = sign_json(keys[usage], owner.user_id, master)
    await owner.ask("POST", upload, upload_all)
    unknown: Json = {owner.user_id: {"NO": {"signatures": {}}}}
    answer = await owner.ask("POST", f"{V3}/keys/signatures/upload", unknown)
    assert answer["failures"][owner.user_id]["NO"]["errcode"] == "M_NOT_FOUND"


async def _key_backup(owner: Device) -> None:
    version, keys = f"{V3}/room_keys/version", f"{V3}/room_keys/keys"
    about: Json = {
        "algorithm": "m.megolm_backup.v1.curve25519-aes-sha2",
        "auth_data": {"public_key": KEY, "signatures": {}},
    }
    key: Json = {
        "first_message_index": 0,
        "forwarded_count": 0,
        "is_verified": True,
        "session_data": {"ephemeral": KEY, "ciphertext": "x", "mac": "x"},
    }
    room, session = f"{keys}/!room:localhost", f"{keys}/!room:localhost/s"
    bodies: dict[str, Json] = {
        keys: {"rooms": {"!room:localhost": {"sessions": {"s": key}}}},
        room: {"sessions": {"s": key}},
        session: key,
    }

    assert (await owner.refusal("GET", version)).status == 404
    old, new = [(await owner.ask("POST", version, about))["version"] for _ in range(2)]
    await owner.ask("GET", version)
    for method, body in (("GET", None), ("PUT", about), ("DELETE", None)):
        assert (await owner.refusal(method, f"{version}/1", body)).status == 404
    await owner.ask("GET", f"{version}/{new}")
    await owner.ask("PUT", f"{version}/{new}", about)
    other = {**about, "algorithm": "another"}
    assert (await owner.refusal("PUT", f"{version}/{new}", other)).status == 400
    for path, body in bodies.items():
        await owner.ask("PUT", path, body, version=new)
        assert (await owner.refusal("PUT", path, body, version=old)).status == 403
        assert (await owner.refusal("PUT", path, body, version="1")).status == 404
    for path in bodies:
        await owner.ask("GET", path, None, version=new)
        assert (await owner.refusal("GET", path, None, version="1")).status == 404
    for path in reversed(bodies):
        await owner.ask("DELETE", path, None, version=new)
        assert (await owner.refusal("DELETE", path, None, version="1")).status == 404
    await owner.ask("DELETE", f"{version}/{new}")


async def test_push(world: World) -> None:
    watch = Watch(world)
    ada = (await world.person("ada")).phone
    pusher: Json = {
        "app_id": "org.example",
        "pushkey": "key",
        "kind": "http",
        "app_display_name": "Example",
        "device_display_name": "Phone",
        "lang": "en",
        "data": {"url": "https://push.example/_matrix/push/v1/notify", "format": "event_id_only"},
    }

    await ada.ask("POST", f"{V3}/pushers/set", pusher)
    await ada.ask("GET", f"{V3}/pushers")
    assert (await ada.refusal("POST", f"{V3}/pushers/set", {**pusher, "lang": None})).status == 400

    assert watch.missing("push") == []


@pytest.mark.parametrize("version", ["10", "11", "12"])
async def test_rooms(world: World, version: str) -> None:
    watch = Watch(world)
    people = [await world.person(name) for name in ("ada", "boris", "mallory")]
    ada, boris, mallory = (person.phone for person in people)

    refused = await ada.refusal("POST", f"{V3}/createRoom", {"room_version": "1"})
    assert refused.errcode == "M_UNSUPPORTED_ROOM_VERSION"
    foreign = {"invite": ["@carl:elsewhere"]}
    assert (await ada.refusal("POST", f"{V3}/createRoom", foreign)).status == 403
    room = await ada.creates(
        room_version=version,
        preset="private_chat",
        name="Tea",
        topic="Which?",
        initial_state=[
            {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
        ],
    )
    place = f"{V3}/rooms/{room}"
    await _comings(ada, boris, mallory, place)
    await _things_said(ada, boris, mallory, room)
    await _goings(ada, boris, mallory, place)
    await _names_and_neighbours(world, version)

    assert watch.missing("rooms") == []
    assert watch.missing("directory") == []
    assert watch.missing("reports") == []


async def _comings(ada: Device, boris: Device, mallory: Device, place: str) -> None:
    room = place.removeprefix(f"{V3}/rooms/")
    for path in (f"{V3}/join/{room}", f"{place}/join"):
        assert (await boris.refusal("POST", path, {})).status == 403
    guest = {"user_id": boris.user_id, "reason": "tea"}
    assert (await mallory.refusal("POST", f"{place}/invite", guest)).status == 403
    assert (await ada.refusal("POST", f"{place}/invite", {"user_id": 1})).status == 400
    await ada.ask("POST", f"{place}/invite", guest)
    assert room in (await boris.syncs())["rooms"]["invite"]
    await boris.ask("POST", f"{V3}/join/{room}", {}, via="elsewhere")
    await boris.ask("POST", f"{place}/join", {})
    await ada.ask("GET", f"{V3}/joined_rooms")
    for page in ("members", "joined_members", "state", "state/m.room.name/", "messages?dir=b"):
        assert (await mallory.refusal("GET", f"{place}/{page}")).status == 403
    assert (await ada.refusal("GET", f"{place}/state/m.room.avatar/")).status == 404
    await ada.ask("GET", f"{place}/joined_members")
    await ada.ask("GET", f"{place}/members", not_membership="leave")


async def _things_said(ada: Device, boris: Device, mallory: Device, room: str) -> None:
    place = f"{V3}/rooms/{room}"
    said = await ada.says(room, "hello")
    image = {"msgtype": "m.image", "body": "a.png", "url": "mxc://localhost/abc", "info": {}}
    await ada.sends(room, "m.room.message", image)
    await boris.sends(room, "m.sticker", {"body": "tea", "url": image["url"], "info": {}})
    gone = await ada.says(room, "gone soon")
    redaction = await ada.redacts(room, gone)
    assert (await ada.refusal("PUT", f"{place}/send/m.room.message/t", {"a": 0.5})).status == 400
    assert (await ada.refusal("PUT", f"{place}/state/m.room.name/", {"a": 0.5})).status == 400
    assert (await boris.refusal("PUT", f"{place}/state/m.room.name/", {"name": "x"})).status == 403
    await ada.sets(room, "m.room.name", {"name": "Coffee"})
    await boris.ask("PUT", f"{place}/typing/{boris.user_id}", {"typing": True, "timeout": 30_000})
    for event_id in (said, gone, redaction):
        await boris.ask("GET", f"{place}/event/{event_id}")
    assert (await mallory.refusal("GET", f"{place}/event/{said}")).status == 404
    await boris.ask("GET", f"{place}/context/{said}")
    await boris.ask("GET", f"{place}/state")
    await boris.ask("GET", f"{place}/state/m.room.name/", format="event")
    lazily = '{"lazy_load_members":true}'
    await boris.ask("GET", f"{place}/messages", dir="b", limit=100, filter=lazily)
    await boris.ask("GET", f"{place}/messages", dir="f", limit=2)


async def _names_and_neighbours(world: World, version: str) -> None:
    people = [await world.person(name) for name in ("ada", "boris", "mallory")]
    ada, boris, mallory = (person.phone for person in people)
    space = await ada.creates(
        room_version=version,
        preset="public_chat",
        visibility="public",
        room_alias_name="tea",
        name="Tea",
        topic="Which?",
        creation_content={"type": "m.space"},
    )
    door = [{"type": "m.room.join_rules", "content": {"join_rule": "knock"}}]
    room = await ada.creates(room_version=version, initial_state=door)
    await ada.sets(space, "m.space.child", {"via": ["localhost"], "order": "a"}, room)
    await boris.joins(space)
    await _names(world, ada, mallory, space)
    await _looks(world, boris, space, room)
    await _reports(ada, boris, await ada.says(space, "rude"), space)

    assert (await boris.ask("POST", f"{V3}/knock/{room}", {"reason": "tea"}))["room_id"] == room
    assert room in (await boris.syncs())["rooms"]["knock"]
    assert (await mallory.refusal("POST", f"{V3}/knock/{space}", {})).status == 403
    assert (await mallory.refusal("POST", f"{V3}/knock/%23no:localhost", {})).status == 404
    wish = {"new_version": "12"}
    assert (await boris.refusal("POST", f"{V3}/rooms/{space}/upgrade", wish)).status == 403
    wrong = await ada.refusal("POST", f"{V3}/rooms/{space}/upgrade", {"new_version": "1"})
    assert wrong.errcode == "M_UNSUPPORTED_ROOM_VERSION"
    await ada.ask("POST", f"{V3}/rooms/{space}/upgrade", wish)
    await boris.syncs()


async def _names(world: World, ada: Device, mallory: Device, space: str) -> None:
    name = f"{V3}/directory/room/%23coffee:localhost"
    await ada.ask("PUT", name, {"room_id": space})
    assert (await ada.refusal("PUT", name, {"room_id": space})).status == 409
    assert (await ada.refusal("PUT", f"{V3}/directory/room/tea", {"room_id": space})).status == 400
    for path in (name, f"{V3}/directory/room/tea", f"{V3}/directory/room/%23no:localhost"):
        await world.request("GET", path)
    await ada.ask("GET", f"{V3}/rooms/{space}/aliases")
    assert (await mallory.refusal("GET", f"{V3}/rooms/{space}/aliases")).status == 403
    assert (await ada.refusal("GET", f"{V3}/rooms/tea/aliases")).status == 400
    await ada.ask("DELETE", name)
    assert (await ada.refusal("DELETE", name)).status == 404
    bad = {"alias": "#coffee:localhost"}
    path = f"{V3}/rooms/{space}/state/m.room.canonical_alias/"
    assert (await ada.refusal("PUT", path, bad)).errcode == "M_BAD_ALIAS"

    listing = f"{V3}/directory/list/room/{space}"
    await ada.ask("PUT", listing, {"visibility": "public"})
    assert (await mallory.refusal("PUT", listing, {})).status == 404
    await world.request("GET", listing)
    _, page = await world.request("GET", f"{V3}/publicRooms", limit=1)
    assert [entry["room_id"] for entry in page["chunk"]] == [space]
    wanted = {"filter": {"generic_search_term": "tea", "room_types": ["m.space"]}, "limit": 1}
    assert len((await ada.ask("POST", f"{V3}/publicRooms", wanted))["chunk"]) == 1


async def _looks(world: World, boris: Device, space: str, room: str) -> None:
    await world.request("GET", f"{V1}/room_summary/{space}")
    await boris.ask("GET", f"{V1}/room_summary/%23tea:localhost")
    assert (await boris.refusal("GET", f"{V1}/room_summary/!no:localhost")).status == 404
    tree = f"{V1}/rooms/{space}/hierarchy"
    page = await boris.ask("GET", tree, limit=1)
    rest = await boris.ask("GET", tree, limit=1, from_=page["next_batch"])
    assert [entry["room_id"] for entry in rest["rooms"]] == [room]
    assert (await boris.refusal("GET", tree, from_="x")).status == 400
    assert (await boris.refusal("GET", f"{V1}/rooms/!no:localhost/hierarchy")).status == 403
    await boris.ask("GET", f"{V1}/mutual_rooms", user_id="@ada:localhost")
    assert (await boris.refusal("GET", f"{V1}/mutual_rooms", user_id="ada")).status == 400
    time = f"{V1}/rooms/{space}/timestamp_to_event"
    await boris.ask("GET", time, ts=0, dir="f")
    assert (await boris.refusal("GET", time, ts=0, dir="b")).status == 404


async def _reports(ada: Device, boris: Device, event: str, space: str) -> None:
    reason = {"reason": "rude"}
    for thing in (f"rooms/{space}/report", f"rooms/{space}/report/{event}"):
        await boris.ask("POST", f"{V3}/{thing}", reason)
    await boris.ask("POST", f"{V3}/users/@ada:localhost/report", reason)
    assert (await boris.refusal("POST", f"{V3}/users/@no:localhost/report", reason)).status == 404
    path = f"{V3}/rooms/{space}/report/$no"
    assert (await ada.refusal("POST", path, reason)).status == 404


async def _goings(ada: Device, boris: Device, mallory: Device, place: str) -> None:
    target = {"user_id": boris.user_id, "reason": "milk first"}
    for verb in ("kick", "ban", "unban"):
        assert (
            await boris.refusal("POST", f"{place}/{verb}", {"user_id": ada.user_id})
        ).status == 403
    for verb in ("kick", "ban", "unban"):
        await ada.ask("POST", f"{place}/{verb}", target)
        await boris.syncs()
    assert (await ada.refusal("POST", f"{place}/forget", {})).status == 400
    await boris.ask("POST", f"{place}/forget", {})
    await ada.ask("POST", f"{place}/leave", {})


@pytest.mark.parametrize("after", [None, "use_state_after", "org.matrix.msc4222.use_state_after"])
@pytest.mark.parametrize("lazy", [False, True])
async def test_sync(world: World, lazy: bool, after: str | None) -> None:
    watch = Watch(world)
    ada, boris = await world.person("ada"), await world.person("boris")
    wanted = orjson.dumps({"room": {"state": {"lazy_load_members": lazy}, "include_leave": True}})
    query: Json = {"filter": wanted.decode(), **({after: "true"} if after else {})}
    name = (after or "state").removeprefix("use_").replace(".use_", ".")
    others = {"state", "state_after", "org.matrix.msc4222.state_after"} - {name}

    left = await world.room(ada, boris)
    await boris.phone.leaves(left)
    invited = await ada.phone.creates(preset="private_chat", invite=[boris.user_id])
    knocked = await ada.phone.creates(
        initial_state=[{"type": "m.room.join_rules", "content": {"join_rule": "knock"}}]
    )
    await boris.phone.sets(knocked, "m.room.member", {"membership": "knock"}, boris.user_id)
    room = await world.room(ada, boris)
    await ada.phone.says(room, "hello")
    place = f"{V3}/user/{boris.user_id}"
    await boris.phone.ask("PUT", f"{place}/account_data/org.example", {"a": 1})
    await boris.phone.ask("PUT", f"{place}/rooms/{room}/account_data/org.example", {"a": 1})
    first = await boris.phone.syncs(**query)

    rooms = first["rooms"]
    assert [*rooms["join"]] == [room]
    assert [*rooms["leave"]] == [left]
    assert [*rooms["invite"]] == [invited]
    assert [*rooms["knock"]] == [knocked]
    for one in (rooms["join"][room], rooms["leave"][left]):
        assert name in one
        assert not others & one.keys()
    assert ("summary" in rooms["join"][room]) is lazy
    assert rooms["knock"][knocked]["knock_state"]["events"]

    await ada.phone.ask("PUT", f"{V3}/rooms/{room}/typing/{ada.user_id}", {"typing": True})
    await ada.phone.sets(room, "m.room.topic", {"topic": "tea"})
    letter = {"messages": {boris.user_id: {"*": {"a": 1}}}}
    await ada.phone.ask("PUT", f"{V3}/sendToDevice/org.example/t1", letter)
    second = await boris.phone.syncs(**query)
    assert second["rooms"]["join"][room].keys() >= {name, "timeline", "ephemeral"}
    assert second["to_device"]["events"]
    await boris.phone.syncs(**query, full_state="true")
    assert watch.missing("sync") == []


async def test_whoever_asks_too_often_learns_how_long_to_wait(world: World) -> None:
    """Wherever the specification says that an endpoint is limited."""
    Watch(world)
    ada = await world.person("ada")
    await world.become(limits=LimitSettings(factor=0.001))

    for row in rate_limited():
        path = re.sub(r"\{[^}]*\}", "x", row.path)
        for _ in range(2):
            answer = await world.exchange(row.method, path, b"{}", token=ada.phone.token)
        assert answer.status == 429, row
        assert answer.json["errcode"] == "M_LIMIT_EXCEEDED"
        seconds = int(answer.headers["Retry-After"])
        assert 0 < answer.json["retry_after_ms"] <= seconds * 1000
