"""A second library, `mautrix`, without encryption: what bridges and bots are built on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from mautrix.client import Client
from mautrix.errors import MForbidden, MNotFound
from mautrix.types import (
    EventType,
    MessageEvent,
    PaginationDirection,
    RoomCreatePreset,
    RoomID,
    RoomNameStateEventContent,
    UserID,
)

from tests.server_process import ServerProcess

PASSWORD = "correct horse battery staple"


@asynccontextmanager
async def person(server: ServerProcess, name: str) -> AsyncIterator[Client]:
    """Somebody who has signed up over plain HTTP and signed in with the library."""
    async with aiohttp.ClientSession() as session:
        signed_up = await session.post(
            f"{server.url}/_matrix/client/v3/register",
            json={
                "username": name,
                "password": PASSWORD,
                "auth": {"type": "m.login.dummy"},
                "inhibit_login": True,
            },
        )
        assert signed_up.status == 200, await signed_up.text()
        client = Client(UserID(f"@{name}:localhost"), base_url=server.url, client_session=session)
        await client.login(password=PASSWORD, device_name="a test")
        yield client


@pytest.fixture
async def ada(server: ServerProcess) -> AsyncIterator[Client]:
    async with person(server, "ada") as client:
        yield client


@pytest.fixture
async def boris(server: ServerProcess) -> AsyncIterator[Client]:
    async with person(server, "boris") as client:
        yield client


async def room_of(ada: Client, boris: Client) -> RoomID:
    room_id = await ada.create_room(preset=RoomCreatePreset.PRIVATE, invitees=[boris.mxid])
    assert room_id in (await boris.sync(timeout=5_000))["rooms"]["invite"]
    await boris.join_room_by_id(room_id)
    return room_id


async def test_the_token_says_who_one_is(ada: Client) -> None:
    who = await ada.whoami()

    assert who.user_id == "@ada:localhost"
    assert who.device_id == ada.device_id


async def test_a_message_arrives_with_the_next_sync(ada: Client, boris: Client) -> None:
    room_id = await room_of(ada, boris)
    since = (await boris.sync(timeout=0))["next_batch"]

    event_id = await ada.send_text(room_id, "good morning")
    answer = await boris.sync(since=since, timeout=5_000)

    (event,) = answer["rooms"]["join"][room_id]["timeline"]["events"]
    assert event["event_id"] == event_id
    assert event["content"]["body"] == "good morning"


async def test_history_is_read_in_both_directions(ada: Client, boris: Client) -> None:
    room_id = await room_of(ada, boris)
    sent = [await ada.send_text(room_id, f"line {number}") for number in range(12)]

    async def texts(direction: PaginationDirection) -> list[str]:
        found: list[str] = []
        token = None
        while True:
            # The library writes the fields of this tuple in a way that type checkers can't read.
            page: Any = await boris.get_messages(room_id, direction, from_token=token, limit=5)
            found += [e.event_id for e in page.events if isinstance(e, MessageEvent)]
            if page.end is None or not page.events:
                return found
            token = page.end

    assert await texts(PaginationDirection.BACKWARD) == sent[::-1]
    assert await texts(PaginationDirection.FORWARD) == sent


async def test_a_redacted_message_is_empty_for_everybody(ada: Client, boris: Client) -> None:
    room_id = await room_of(ada, boris)
    event_id = await ada.send_text(room_id, "forget this")

    await ada.redact(room_id, event_id, "a slip")
    event = await boris.get_event(room_id, event_id)

    assert event.type == EventType.ROOM_MESSAGE
    assert "forget" not in str(event.serialize())
    assert event.unsigned.serialize().get("redacted_because")


async def test_a_file_comes_back_as_it_was_sent(ada: Client, boris: Client) -> None:
    data = bytes(range(256)) * 1_000

    uri = await ada.upload_media(data, mime_type="application/pdf", filename="form.pdf")

    assert uri.startswith("mxc://localhost/")
    assert await boris.download_media(uri) == data
    assert (await boris.get_media_repo_config()).upload_size > len(data)


async def test_who_has_left_reads_nothing_new(ada: Client, boris: Client) -> None:
    room_id = await room_of(ada, boris)
    known = await ada.send_text(room_id, "while you are here")
    assert (await boris.get_event(room_id, known)).event_id == known

    await boris.leave_room(room_id)
    after = await ada.send_text(room_id, "now that you are gone")

    with pytest.raises((MForbidden, MNotFound)):
        await boris.get_event(room_id, after)
    with pytest.raises(MForbidden):
        await boris.send_text(room_id, "me again")


async def test_members_and_state_are_what_the_room_says(ada: Client, boris: Client) -> None:
    room_id = await room_of(ada, boris)

    await ada.send_state_event(room_id, EventType.ROOM_NAME, RoomNameStateEventContent("Bakery"))
    members = await boris.get_members(room_id)
    name = await boris.get_state_event(room_id, EventType.ROOM_NAME)

    assert {m.state_key for m in members if m.serialize()["content"]["membership"] == "join"} == {
        "@ada:localhost",
        "@boris:localhost",
    }
    assert name.serialize()["name"] == "Bakery"


async def test_a_room_goes_on_after_a_crash(
    server: ServerProcess, ada: Client, boris: Client
) -> None:
    """What was acknowledged before `kill -9` is there, and the old token still syncs."""
    room_id = await room_of(ada, boris)
    since = (await boris.sync(timeout=0))["next_batch"]
    event_id = await ada.send_text(room_id, "before the crash")

    server.kill()
    server.start_again()
    answer = await boris.sync(since=since, timeout=5_000)

    events = answer["rooms"]["join"][room_id]["timeline"]["events"]
    assert [e["event_id"] for e in events] == [event_id]
