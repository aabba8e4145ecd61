"""Keys that the server keeps and can't read, with real cryptography: what was written while a
person had no device, or on one that is lost, is read on the next.

`matrix-nio` has neither a key backup nor dehydrated devices, so the steps that a client takes
are written out here; encryption is vodozemac's.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nio  # type: ignore[import-untyped]  # the library carries no types
import orjson
import pytest
import vodozemac
from nio.crypto.sessions import InboundGroupSession  # type: ignore[import-untyped]

from posthouse.matrix import encode_base64, encode_canonical
from tests.clients.nio_device import NioDevice, nio_device
from tests.clients.test_nio import encrypted_room, hears
from tests.server_process import ServerProcess
from tests.world import V3, Json

ALGORITHM = "m.megolm_backup.v1.curve25519-aes-sha2"
DEHYDRATED = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device"
PICKLE_KEY = b"only ada's secret storage has it"


@pytest.fixture
async def ada(server: ServerProcess, tmp_path: Path) -> AsyncIterator[NioDevice]:
    async with nio_device(server.url, tmp_path / "ada", "@ada:localhost") as device:
        await device.sign_up("ada")
        await device.turn()
        yield device


@pytest.fixture
async def boris(server: ServerProcess, tmp_path: Path) -> AsyncIterator[NioDevice]:
    async with nio_device(server.url, tmp_path / "boris", "@boris:localhost") as device:
        await device.sign_up("boris")
        await device.turn()
        yield device


@pytest.fixture
async def laptop(server: ServerProcess, tmp_path: Path) -> AsyncIterator[NioDevice]:
    """Ada's next device: not signed in yet, and without anything that the first one knew."""
    async with nio_device(server.url, tmp_path / "laptop", "@ada:localhost") as device:
        yield device


async def asks(device: NioDevice, method: str, path: str, body: Json | None = None) -> Json:
    answer = await device.client.send(
        method,
        path,
        None if body is None else orjson.dumps(body),
        headers={"Authorization": f"Bearer {device.client.access_token}"},
    )
    content: Json = await answer.json()
    assert answer.status == 200, (method, path, content)
    return content


async def reads(device: NioDevice, room_id: str) -> list[str]:
    """What the device can read of a room, oldest first."""
    await device.turn(full_state=True)
    events = await device.reads_back(room_id, device.client.next_batch)
    return [event.body for event in events if isinstance(event, nio.RoomMessageText)]


def takes(device: NioDevice, room_id: str, key: Json) -> None:
    """Adds a room key to those that the device has."""
    session = InboundGroupSession.import_session(
        key["session_key"],
        key["sender_claimed_keys"]["ed25519"],
        key["sender_key"],
        room_id,
        key["forwarding_curve25519_key_chain"],
    )
    assert device.client.olm.inbound_group_store.add(session)


# -- the key backup ------------------------------------------------------------------------------


def backed_up(session: Any, public_key: vodozemac.Curve25519PublicKey) -> Json:
    """A session as a client puts it into the backup."""
    key = {
        "algorithm": "m.megolm.v1.aes-sha2",
        "forwarding_curve25519_key_chain": session.forwarding_chain,
        "sender_key": session.sender_key,
        "sender_claimed_keys": {"ed25519": session.ed25519},
        "session_key": session.export_session(session.first_known_index),
    }
    sealed = vodozemac.PkEncryption.from_key(public_key).encrypt(orjson.dumps(key))
    return {
        "first_message_index": session.first_known_index,
        "forwarded_count": len(session.forwarding_chain),
        "is_verified": True,
        "session_data": {
            "ciphertext": encode_base64(sealed.ciphertext),
            "mac": encode_base64(sealed.mac),
            "ephemeral": encode_base64(sealed.ephemeral_key),
        },
    }


def unsealed(data: Json, secret: vodozemac.PkDecryption) -> Json:
    parts = data["session_data"]
    message = vodozemac.Message.from_base64(parts["ciphertext"], parts["mac"], parts["ephemeral"])
    key: Json = orjson.loads(secret.decrypt(message))
    return key


async def test_a_new_device_reads_what_the_lost_one_could(
    server: ServerProcess, ada: NioDevice, boris: NioDevice, laptop: NioDevice
) -> None:
    room_id = await encrypted_room(ada, boris)
    for text in ("the harvest", "is on Thursday"):
        await hears(ada, room_id, await boris.says(room_id, text), text)
    secret = vodozemac.PkDecryption()
    auth_data = {"public_key": secret.public_key.to_base64()}
    begun = {"algorithm": ALGORITHM, "auth_data": auth_data}
    version = (await asks(ada, "POST", f"{V3}/room_keys/version", begun))["version"]
    sessions = {
        session.id: backed_up(session, secret.public_key)
        for session in ada.client.olm.inbound_group_store
    }
    body = {"rooms": {room_id: {"sessions": sessions}}}
    stored = await asks(ada, "PUT", f"{V3}/room_keys/keys?version={version}", body)
    assert stored["count"] == len(sessions) > 0
    await asks(ada, "POST", f"{V3}/logout", {})
    server.stop()
    server.start()

    await laptop.sign_in()
    await laptop.turn()
    assert await reads(laptop, room_id) == []
    current = await asks(laptop, "GET", f"{V3}/room_keys/version")
    assert (current["version"], current["auth_data"]) == (version, auth_data)
    found = await asks(laptop, "GET", f"{V3}/room_keys/keys?version={version}")
    for data in found["rooms"][room_id]["sessions"].values():
        takes(laptop, room_id, unsealed(data, secret))

    assert await reads(laptop, room_id) == ["the harvest", "is on Thursday"]


# -- the dehydrated device -----------------------------------------------------------------------


def asleep(user_id: str) -> Json:
    """A new device as a client puts it to sleep; its private keys are in `device_data`, sealed."""
    account = vodozemac.Account()
    device_id = account.curve25519_key.to_base64()
    device_keys = {
        "user_id": user_id,
        "device_id": device_id,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "keys": {
            f"curve25519:{device_id}": device_id,
            f"ed25519:{device_id}": account.ed25519_key.to_base64(),
        },
        "dehydrated": True,
    }
    account.generate_one_time_keys(10)
    one_time_keys = {
        f"signed_curve25519:{name}": signed({"key": key.to_base64()}, account, user_id)
        for name, key in account.one_time_keys.items()
    }
    account.mark_keys_as_published()
    return {
        "device_id": device_id,
        "device_data": {"algorithm": "a test's", "pickle": account.pickle(PICKLE_KEY)},
        "device_keys": signed(device_keys, account, user_id),
        "one_time_keys": one_time_keys,
        "initial_device_display_name": "Asleep",
    }


def signed(value: Json, account: vodozemac.Account, user_id: str) -> Json:
    signature = account.sign(encode_canonical(value)).to_base64()
    device_id = account.curve25519_key.to_base64()
    return {**value, "signatures": {user_id: {f"ed25519:{device_id}": signature}}}


def room_key(event: Json, account: vodozemac.Account) -> Json:
    """The room key in a message that was encrypted for the device."""
    assert event["type"] == "m.room.encrypted"
    sender_key = event["content"]["sender_key"]
    sealed = event["content"]["ciphertext"][account.curve25519_key.to_base64()]
    assert sealed["type"] == 0
    _, plain = account.create_inbound_session(
        vodozemac.Curve25519PublicKey.from_base64(sender_key),
        vodozemac.PreKeyMessage.from_base64(sealed["body"]),
    )
    message = orjson.loads(plain)
    assert message["type"] == "m.room_key"
    session = vodozemac.InboundGroupSession(vodozemac.SessionKey(message["content"]["session_key"]))
    exported = session.export_at(session.first_known_index)
    assert exported is not None
    return {
        "session_key": exported.to_base64(),
        "sender_key": sender_key,
        "sender_claimed_keys": message["keys"],
        "forwarding_curve25519_key_chain": [],
    }


async def test_a_person_without_a_device_is_written_to_and_reads_it_later(
    ada: NioDevice, boris: NioDevice, laptop: NioDevice
) -> None:
    room_id = await encrypted_room(ada, boris)
    await asks(ada, "PUT", DEHYDRATED, asleep("@ada:localhost"))
    await asks(ada, "POST", f"{V3}/logout", {})
    await boris.turns_until(lambda: knows_only_the_sleeper(boris))
    await boris.says(room_id, "the harvest is on Thursday")

    await laptop.sign_in()
    await laptop.turn()
    assert await reads(laptop, room_id) == []
    found = await asks(laptop, "GET", DEHYDRATED)
    account = vodozemac.Account.from_pickle(found["device_data"]["pickle"], PICKLE_KEY)
    path = f"{DEHYDRATED}/{found['device_id'].replace('/', '%2F').replace('+', '%2B')}/events"
    page = await asks(laptop, "GET", path)
    for event in page["events"]:
        takes(laptop, room_id, room_key(event, account))

    assert await reads(laptop, room_id) == ["the harvest is on Thursday"]


def knows_only_the_sleeper(device: NioDevice) -> bool:
    devices = [one.id for one in device.client.device_store.active_user_devices("@ada:localhost")]
    return len(devices) == 1 and len(devices[0]) == 43
