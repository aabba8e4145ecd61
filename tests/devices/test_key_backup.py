"""The key backup over HTTP, on servers with several streams."""

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from posthouse.devices import DevicesSettings, KeyBackups
from posthouse.devices.backup_model import BackedUpKey, KeyRank
from posthouse.devices.errors import BackupTooLarge, SignedOut
from posthouse.matrix import RoomId
from tests.devices.office import Office
from tests.world import V3, Device, Json, World

KEYS = f"{V3}/room_keys/keys"
VERSION = f"{V3}/room_keys/version"
ALGORITHM = "m.megolm_backup.v1.curve25519-aes-sha2"
AUTH: Json = {"public_key": "abc", "signatures": {}}
ROOM, OTHER = "!tea:localhost", "!coffee:localhost"
SESSION = "a/b+c="


def key(name: str, *, verified: bool = False, index: int = 5, forwarded: int = 5) -> Json:
    return {
        "first_message_index": index,
        "forwarded_count": forwarded,
        "is_verified": verified,
        "session_data": {"ciphertext": name},
    }


async def begins(device: Device, **auth: Any) -> str:
    body = {"algorithm": ALGORITHM, "auth_data": {**AUTH, **auth}}
    return str((await device.ask("POST", VERSION, body))["version"])


async def puts(device: Device, version: str, rooms: dict[str, dict[str, Json]]) -> Json:
    body = {"rooms": {room: {"sessions": sessions} for room, sessions in rooms.items()}}
    return await device.ask("PUT", KEYS, body, version=version)


async def holds(device: Device, version: str) -> dict[str, dict[str, str]]:
    """The name of each key, by room and session."""
    found = await device.ask("GET", KEYS, None, version=version)
    assert found.keys() == {"rooms"}
    return {
        room: {
            session: data["session_data"]["ciphertext"]
            for session, data in content["sessions"].items()
        }
        for room, content in found["rooms"].items()
    }


async def test_a_new_device_finds_what_the_old_one_backed_up(world: World) -> None:
    ada = await world.person("ada")
    assert (await ada.phone.refusal("GET", VERSION)).errcode == "M_NOT_FOUND"
    version = await begins(ada.phone)
    stored = await puts(ada.phone, version, {ROOM: {SESSION: key("one")}, OTHER: {"x": key("two")}})

    laptop = await world.another_device(ada)

    assert await laptop.ask("GET", VERSION) == {
        "algorithm": ALGORITHM,
        "auth_data": AUTH,
        "count": 2,
        "etag": stored["etag"],
        "version": version,
    }
    assert await laptop.ask("GET", f"{VERSION}/{version}") == await laptop.ask("GET", VERSION)
    assert await holds(laptop, version) == {ROOM: {SESSION: "one"}, OTHER: {"x": "two"}}
    in_room = await laptop.ask("GET", f"{KEYS}/{quote(ROOM)}", None, version=version)
    assert in_room == {"sessions": {SESSION: key("one")}}
    place = f"{KEYS}/{quote(ROOM)}/{quote(SESSION, safe='')}"
    assert await laptop.ask("GET", place, None, version=version) == key("one")


async def test_an_empty_backup_has_no_keys(world: World) -> None:
    ada = (await world.person("ada")).phone
    version = await begins(ada)

    assert await ada.ask("GET", KEYS, None, version=version) == {"rooms": {}}
    room = await ada.ask("GET", f"{KEYS}/{quote(ROOM)}", None, version=version)
    assert room == {"sessions": {}}
    one = await ada.refusal("GET", f"{KEYS}/{quote(ROOM)}/x", None, version=version)
    assert one.errcode == "M_NOT_FOUND"
    assert (await puts(ada, version, {}))["count"] == 0


async def test_the_better_key_stays_whichever_way_it_comes(world: World) -> None:
    ada = (await world.person("ada")).phone
    version = await begins(ada)
    room = f"{KEYS}/{quote(ROOM)}"
    await puts(ada, version, {ROOM: {"x": key("first"), "y": key("first")}})

    worse = key("worse", index=6, forwarded=0)
    etag = (await ada.ask("PUT", f"{room}/x", worse, version=version))["etag"]
    assert await holds(ada, version) == {ROOM: {"x": "first", "y": "first"}}
    same = (await ada.ask("PUT", f"{room}/x", key("equal"), version=version))["etag"]
    assert (etag, (await holds(ada, version))[ROOM]["x"]) == (same, "first")
    sessions = {"x": key("earlier", index=4, forwarded=9), "y": worse, "z": key("new")}
    changed = await ada.ask("PUT", room, {"sessions": sessions}, version=version)
    assert await holds(ada, version) == {ROOM: {"x": "earlier", "y": "first", "z": "new"}}
    assert changed["count"] == 3
    assert changed["etag"] != etag
    await puts(ada, version, {ROOM: {"x": key("verified", verified=True, index=9)}})
    assert (await holds(ada, version))[ROOM]["x"] == "verified"


async def test_keys_go_into_the_newest_backup_only(world: World) -> None:
    ada = (await world.person("ada")).phone
    old = await begins(ada)
    await puts(ada, old, {ROOM: {"x": key("old")}})
    new = await begins(ada)
    body: Json = {"rooms": {ROOM: {"sessions": {"x": key("late")}}}}

    refused = await ada.refusal("PUT", KEYS, body, version=old)
    assert (refused.status, refused.errcode) == (403, "M_WRONG_ROOM_KEYS_VERSION")
    assert refused.body["current_version"] == new
    assert await holds(ada, old) == {ROOM: {"x": "old"}}
    assert (await ada.ask("GET", VERSION))["version"] == new
    for unknown in ("1", "x", str(int(new) + 1)):
        refused = await ada.refusal("PUT", KEYS, body, version=unknown)
        assert (refused.status, refused.errcode) == (404, "M_NOT_FOUND")
        assert (await ada.refusal("GET", f"{VERSION}/{unknown}")).status == 404
    assert (await ada.refusal("PUT", KEYS, body)).errcode == "M_MISSING_PARAM"


async def test_a_deleted_backup_is_gone_and_the_one_before_it_current(world: World) -> None:
    ada = (await world.person("ada")).phone
    old, new = await begins(ada), await begins(ada)
    await puts(ada, new, {ROOM: {"x": key("secret")}})

    await ada.ask("DELETE", f"{VERSION}/{new}")
    await ada.ask("DELETE", f"{VERSION}/{new}")

    assert (await ada.ask("GET", VERSION))["version"] == old
    for method, path, body in (
        ("GET", f"{VERSION}/{new}", None),
        ("PUT", f"{VERSION}/{new}", {"algorithm": ALGORITHM, "auth_data": AUTH}),
        ("GET", f"{KEYS}?version={new}", None),
        ("GET", f"{KEYS}/{quote(ROOM)}?version={new}", None),
        ("GET", f"{KEYS}/{quote(ROOM)}/x?version={new}", None),
        ("PUT", f"{KEYS}?version={new}", {"rooms": {}}),
        ("DELETE", f"{KEYS}?version={new}", None),
    ):
        refused = await ada.refusal(method, path, body)
        assert (refused.status, refused.errcode) == (404, "M_NOT_FOUND"), (method, path)
    assert (await ada.refusal("DELETE", f"{VERSION}/1")).status == 404
    await ada.ask("DELETE", f"{VERSION}/{old}")
    assert (await ada.refusal("GET", VERSION)).status == 404
    assert int(await begins(ada)) > int(new)


async def test_only_what_a_version_says_of_itself_can_change(world: World) -> None:
    ada = (await world.person("ada")).phone
    version = await begins(ada)
    path = f"{VERSION}/{version}"
    signed: Json = {**AUTH, "signatures": {ada.user_id: {"ed25519:X": "c2ln"}}}

    await ada.ask("PUT", path, {"algorithm": ALGORITHM, "auth_data": signed, "version": version})
    assert (await ada.ask("GET", path))["auth_data"] == signed
    for body in (
        {"algorithm": "another", "auth_data": AUTH},
        {"algorithm": ALGORITHM, "auth_data": AUTH, "version": "1"},
    ):
        refused = await ada.refusal("PUT", path, body)
        assert (refused.status, refused.errcode) == (400, "M_INVALID_PARAM")
    assert (await ada.ask("GET", path))["auth_data"] == signed


async def test_keys_are_deleted_one_by_one_by_room_and_all(world: World) -> None:
    ada = (await world.person("ada")).phone
    version = await begins(ada)
    names = [f"s{number:04}" for number in range(1_200)]
    await puts(ada, version, {ROOM: {name: key(name) for name in names}})
    await puts(ada, version, {OTHER: {"x": key("x"), "y": key("y")}})

    gone = await ada.ask("DELETE", f"{KEYS}/{quote(OTHER)}/x", None, version=version)
    assert gone["count"] == 1_201
    assert (await holds(ada, version))[OTHER] == {"y": "y"}
    again = await ada.ask("DELETE", f"{KEYS}/{quote(OTHER)}/x", None, version=version)
    assert again == gone
    left = await ada.ask("DELETE", f"{KEYS}/{quote(ROOM)}", None, version=version)
    assert left["count"] == 1
    assert left["etag"] != gone["etag"]
    assert (await ada.ask("DELETE", KEYS, None, version=version))["count"] == 0
    assert await holds(ada, version) == {}


async def test_a_large_backup_comes_back_whole(world: World) -> None:
    """Over many pages and rooms; and each key once."""
    ada = (await world.person("ada")).phone
    version = await begins(ada)
    rooms = {
        f"!r{room}:localhost": {f"s{n}": key(f"{room} {n}") for n in range(room * 7)}
        for room in range(1, 21)
    }

    stored = await puts(ada, version, rooms)

    assert stored["count"] == sum(map(len, rooms.values()))
    assert await holds(ada, version) == {
        room: {name: data["session_data"]["ciphertext"] for name, data in sessions.items()}
        for room, sessions in rooms.items()
    }


async def test_devices_that_back_up_at_once_lose_nothing(world: World) -> None:
    ada = await world.person("ada")
    laptop = await world.another_device(ada)
    version = await begins(ada.phone)

    answers = await asyncio.gather(
        *(
            puts(device, version, {ROOM: {f"{number}": key("a"), f"s{device.device_id}": key("b")}})
            for number in range(10)
            for device in (ada.phone, laptop)
        )
    )

    assert len((await holds(laptop, version))[ROOM]) == 12
    now = await laptop.ask("GET", VERSION)
    assert now["count"] == 12
    assert now["etag"] == max(answer["etag"] for answer in answers)


async def test_a_backup_is_its_owners_alone(world: World) -> None:
    ada, mallory = (await world.person("ada")).phone, (await world.person("mallory")).phone
    version = await begins(ada)
    await puts(ada, version, {ROOM: {"x": key("secret")}})

    for method, path in (
        ("GET", f"{VERSION}/{version}"),
        ("DELETE", f"{VERSION}/{version}"),
        ("GET", f"{KEYS}?version={version}"),
        ("GET", f"{KEYS}/{quote(ROOM)}?version={version}"),
        ("GET", f"{KEYS}/{quote(ROOM)}/x?version={version}"),
        ("DELETE", f"{KEYS}?version={version}"),
    ):
        assert (await mallory.refusal(method, path)).status == 404, path
    assert await holds(ada, version) == {ROOM: {"x": "secret"}}


BAD: list[tuple[str, str, bytes]] = [
    ("POST", VERSION, b"{}"),
    ("POST", VERSION, b'{"algorithm": "a"}'),
    ("POST", VERSION, b'{"algorithm": "", "auth_data": {}}'),
    ("POST", VERSION, b'{"algorithm": "a\\u0000", "auth_data": {}}'),
    ("POST", VERSION, b'{"algorithm": "a", "auth_data": "x"}'),
    ("POST", VERSION, b'{"algorithm": "a", "auth_data": {"a": 1.5}}'),
    ("PUT", "", b"{}"),
    ("PUT", "", b'{"rooms": []}'),
    ("PUT", "", b'{"rooms": {"room": {"sessions": {}}}}'),
    ("PUT", "", b'{"rooms": {"!a:b": {}}}'),
    ("PUT", "", b'{"rooms": {"!a:b": {"sessions": {"s": {"is_verified": true}}}}}'),
    ("PUT", "/!a:b", b'{"sessions": {"s\\u0000": %s}}'),
    ("PUT", "/!a:b", b'{"sessions": {"": %s}}'),
    ("PUT", "/!a:b", b'{"sessions": {"%s": %%s}}' % (b"s" * 300)),
    ("PUT", "/!a:b/s", b'{"first_message_index": -1}'),
    ("PUT", "/!a:b/%00", b"%s"),
    ("PUT", "/a/s", b"%s"),
]
GOOD = b'{"first_message_index": 0, "forwarded_count": 0, "is_verified": true, "session_data": {}}'


async def test_what_cannot_be_kept_is_refused(world: World) -> None:
    mallory = (await world.person("mallory")).phone
    version = await begins(mallory)

    for method, path, body in BAD:
        place = path if path == VERSION else f"{KEYS}{path}"
        status, answer = await world.request(
            method, place, body.replace(b"%s", GOOD), token=mallory.token, version=version
        )
        assert status == 400, (path, body, answer)
        assert answer["errcode"] in ("M_BAD_JSON", "M_INVALID_PARAM"), (path, body)
    large = {**key("x"), "session_data": {"ciphertext": "x" * 17_000}}
    refused = await mallory.refusal("PUT", f"{KEYS}/!a:b/s", large, version=version)
    assert (refused.status, refused.errcode) == (413, "M_TOO_LARGE")
    begins_large = {"algorithm": ALGORITHM, "auth_data": {"x": "x" * 40_000}}
    assert (await mallory.refusal("POST", VERSION, begins_large)).errcode == "M_TOO_LARGE"
    assert await holds(mallory, version) == {}


async def test_nobody_keeps_more_keys_or_versions_than_a_person_may(office: Office) -> None:
    ada = await office.phone("ada")
    by = ada.user_id, ada.device_id
    backups = KeyBackups(office.streams, office.accounts, DevicesSettings(backup_keys_max=3))
    keys = [
        BackedUpKey(RoomId(ROOM), f"s{number}", KeyRank(False, 0, 0), b"{}") for number in range(4)
    ]

    first = await backups.create(by, ALGORITHM, {})
    await backups.put_keys(by, first, keys[:2])
    second = await backups.create(by, ALGORITHM, {})
    with pytest.raises(BackupTooLarge):
        await backups.put_keys(by, second, keys[:2])
    assert (await backups.put_keys(by, second, keys[3:])).count == 1
    assert (await backups.put_keys(by, second, keys[3:])).count == 1
    await backups.delete(ada.user_id, first)
    assert (await backups.put_keys(by, second, keys[:2])).count == 3


async def test_what_a_crash_left_of_a_deletion_is_swept(office: Office) -> None:
    """The version was marked as deleted, and its keys are still there."""
    ada = await office.phone("ada")
    by = ada.user_id, ada.device_id
    version = await office.backups.create(by, ALGORITHM, {})
    keys = [
        BackedUpKey(RoomId(ROOM), f"s{number}", KeyRank(False, 0, 0), b"{}")
        for number in range(1_100)
    ]
    await office.backups.put_keys(by, version, keys)
    await office.backups.forget_person(ada.user_id)
    assert await count_rows(office, "backup_keys") == 1_100

    await office.backups.sweep()

    assert await count_rows(office, "backup_keys") == 0
    assert await count_rows(office, "backup_leftovers") == 0


async def test_a_closed_account_has_no_backup(office: Office) -> None:
    ada, boris = await office.phone("ada"), await office.phone("boris")
    for phone in (ada, boris):
        await office.backups.create((phone.user_id, phone.device_id), ALGORITHM, {})

    await office.accounts.deactivate(ada.user_id, erase=False)
    await office.settles()

    assert await count_rows(office, "backup_versions") == 1
    with pytest.raises(SignedOut):
        await office.backups.create((ada.user_id, ada.device_id), ALGORITHM, {})


async def count_rows(office: Office, table: str) -> int:
    row = await office.streams.reader().fetch_one(f"SELECT COUNT(*) FROM {table}")
    assert row is not None
    return int(row[0])


async def test_every_endpoint_wants_a_token(world: World) -> None:
    for method, path in (
        ("POST", VERSION),
        ("GET", VERSION),
        ("GET", f"{VERSION}/1"),
        ("PUT", f"{VERSION}/1"),
        ("DELETE", f"{VERSION}/1"),
        *((m, f"{KEYS}{p}") for m in ("GET", "PUT", "DELETE") for p in ("", "/!a:b", "/!a:b/s")),
    ):
        status, body = await world.request(method, path, version="1")
        assert (status, body["errcode"]) == (401, "M_MISSING_TOKEN"), (method, path)
