"""Two people on `matrix-nio` with encryption hold a conversation; nothing is lost on the way."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import nio  # type: ignore[import-untyped]  # the library carries no types
import pytest
from nio.crypto.attachments import decrypt_attachment  # type: ignore[import-untyped]

from tests.clients.nio_device import NioDevice, expect, nio_device, same_device_again
from tests.server_process import ServerProcess

# A picture as far as anybody but its reader is concerned: 300 KB that no compression repeats.
PICTURE = b"\x89PNG\r\n\x1a\n" + b"".join(
    hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(9_600)
)


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


async def encrypted_room(ada: NioDevice, boris: NioDevice) -> str:
    """A direct chat that Ada began and Boris has joined, known to both."""
    created = expect(
        nio.RoomCreateResponse,
        await ada.client.room_create(
            is_direct=True,
            preset=nio.RoomPreset.trusted_private_chat,
            invite=[boris.client.user_id],
            initial_state=[
                {
                    "type": "m.room.encryption",
                    "state_key": "",
                    "content": {"algorithm": "m.megolm.v1.aes-sha2"},
                }
            ],
        ),
    )
    room_id = str(created.room_id)
    await boris.turns_until(lambda: room_id in boris.client.invited_rooms)
    expect(nio.JoinResponse, await boris.client.join(room_id))
    await boris.turns_until(lambda: room_id in boris.client.rooms)
    await ada.turns_until(
        lambda: (
            room_id in ada.client.rooms
            and boris.client.user_id in ada.client.rooms[room_id].users
            and boris.client.user_id not in ada.client.rooms[room_id].invited_users
        )
    )
    assert ada.client.rooms[room_id].encrypted
    assert boris.client.rooms[room_id].encrypted
    return room_id


async def hears(device: NioDevice, room_id: str, event_id: str, text: str) -> None:
    """The message arrives, and its key was there before it."""
    event = await device.turns_until(lambda: device.event(room_id, event_id))
    assert isinstance(event, nio.RoomMessageText), repr(event)
    assert event.decrypted
    assert event.body == text


async def test_messages_are_decrypted_both_ways(ada: NioDevice, boris: NioDevice) -> None:
    room_id = await encrypted_room(ada, boris)

    for number in range(5):
        asked = await ada.says(room_id, f"question {number}")
        await hears(boris, room_id, asked, f"question {number}")
        answered = await boris.says(room_id, f"answer {number}")
        await hears(ada, room_id, answered, f"answer {number}")

    assert ada.undecrypted() == []
    assert boris.undecrypted() == []


async def test_the_server_holds_no_word_of_what_was_written(
    server: ServerProcess, ada: NioDevice, boris: NioDevice
) -> None:
    """Ciphertext is all that a client may fetch raw, and all that lies on the server's disk."""
    room_id = await encrypted_room(ada, boris)
    event_id = await ada.says(room_id, "the harvest is on Thursday")
    open_room = expect(nio.RoomCreateResponse, await ada.client.room_create()).room_id
    await ada.turns_until(lambda: open_room in ada.client.rooms)
    await ada.says(open_room, "the weather is fine")

    raw = await boris.client.send(
        "GET",
        f"/_matrix/client/v3/rooms/{room_id}/event/{event_id}",
        headers={"Authorization": f"Bearer {boris.client.access_token}"},
    )
    event = await raw.json()

    assert event["type"] == "m.room.encrypted"
    assert "harvest" not in str(event)
    assert "harvest" not in server.log_text()
    server.stop()
    on_disk = b"".join(path.read_bytes() for path in server.data.rglob("*") if path.is_file())
    assert b"harvest" not in on_disk
    if "storage.url" not in server.settings:
        assert b"weather" in on_disk, "what isn't encrypted would have been found"


async def test_a_picture_arrives_whole(ada: NioDevice, boris: NioDevice) -> None:
    room_id = await encrypted_room(ada, boris)

    uploaded, keys = await ada.client.upload(
        lambda *_: PICTURE, "image/png", "harvest.png", encrypt=True, filesize=len(PICTURE)
    )
    assert keys is not None
    event_id = await ada.sends(
        room_id,
        {
            "msgtype": "m.image",
            "body": "harvest.png",
            "file": {**keys, "url": expect(nio.UploadResponse, uploaded).content_uri},
            "info": {"mimetype": "image/png", "size": len(PICTURE)},
        },
    )
    event = await boris.turns_until(lambda: boris.event(room_id, event_id))
    assert isinstance(event, nio.RoomEncryptedImage)
    fetched = expect(nio.MemoryDownloadResponse, await boris.client.download(event.url))

    assert fetched.body != PICTURE
    assert (
        decrypt_attachment(fetched.body, event.key["k"], event.hashes["sha256"], event.iv)
        == PICTURE
    )


async def test_a_redaction_takes_the_words_away(ada: NioDevice, boris: NioDevice) -> None:
    room_id = await encrypted_room(ada, boris)
    event_id = await ada.says(room_id, "forget this")
    await hears(boris, room_id, event_id, "forget this")

    redaction = expect(
        nio.RoomRedactResponse, await ada.client.room_redact(room_id, event_id, "a slip")
    )
    seen = await boris.turns_until(lambda: boris.event(room_id, redaction.event_id))
    again = expect(nio.RoomGetEventResponse, await boris.client.room_get_event(room_id, event_id))

    assert isinstance(seen, nio.RedactionEvent)
    assert seen.redacts == event_id
    assert isinstance(again.event, nio.RedactedEvent)


@pytest.mark.parametrize("crash", [False, True], ids=["after a stop", "after a crash"])
async def test_everything_is_there_after_a_restart(
    server: ServerProcess, ada: NioDevice, boris: NioDevice, tmp_path: Path, crash: bool
) -> None:
    """The server restarts between messages, then both apps do; tokens and sessions go on."""
    room_id = await encrypted_room(ada, boris)
    sent = [(await ada.says(room_id, f"before {n}"), f"before {n}") for n in range(3)]
    await hears(boris, room_id, *sent[0])

    if crash:
        server.kill()
    else:
        server.stop()
    server.start_again()

    sent += [(await boris.says(room_id, f"after {n}"), f"after {n}") for n in range(3)]
    for event_id, text in sent[1:3]:
        await hears(boris, room_id, event_id, text)
    for event_id, text in sent[3:]:
        await hears(ada, room_id, event_id, text)

    async with AsyncExitStack() as apps:
        ada_again = await apps.enter_async_context(
            same_device_again(ada, server.url, tmp_path / "ada")
        )
        boris_again = await apps.enter_async_context(
            same_device_again(boris, server.url, tmp_path / "boris")
        )
        late = await ada_again.says(room_id, "still here")
        await hears(boris_again, room_id, late, "still here")
        assert boris_again.undecrypted() == []

    assert ada.undecrypted() == []
    assert boris.undecrypted() == []


async def test_back_pagination_gives_every_message_once_and_in_order(
    ada: NioDevice, boris: NioDevice
) -> None:
    """More than one sync's worth: the sync is limited and the rest is fetched in small pages."""
    room_id = await encrypted_room(ada, boris)
    sent = [await ada.says(room_id, f"line {number}") for number in range(30)]
    await boris.turns_until(lambda: boris.event(room_id, sent[-1]))

    fetched = await boris.reads_back(room_id, boris.client.next_batch)

    texts = [e for e in fetched if isinstance(e, nio.RoomMessageText)]
    assert [e.event_id for e in texts] == sent
    assert [e.body for e in texts] == [f"line {number}" for number in range(30)]
    assert len({e.event_id for e in fetched}) == len(fetched)
