"""What an operator does to the data while clients keep their tokens: an older copy, a split."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import pytest

from tests.databases import Place
from tests.faults.load import Client
from tests.postgresql_server import connected
from tests.server_process import ServerProcess, running_server
from tests.world import V3

KEYS = {f"signed_curve25519:AAAA{n}": {"key": "Zm9v", "signatures": {}} for n in range(3)}
SOUND = "The data is sound.\n"


@pytest.fixture
def server(place: Place) -> Iterator[ServerProcess]:
    storage_url = place.settings.url if place.engine == "postgresql" else None
    with running_server(place.data, storage_url=storage_url) as process:
        yield process


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        yield session


Restore = Callable[[], Awaitable[None]]


@asynccontextmanager
async def copy_of(place: Place) -> AsyncIterator[Restore]:
    """A copy of the data of now; what is yielded puts it back. No server runs at either moment."""
    if place.engine == "sqlite":
        kept = place.data.with_name("kept")
        shutil.copytree(place.data, kept)

        async def put_back() -> None:
            shutil.rmtree(place.data)
            shutil.copytree(kept, place.data)

        yield put_back
        return
    name = urlsplit(place.settings.url).path.removeprefix("/")
    url = place.settings.url.replace(f"/{name}", "/postgres", 1)
    async with connected(url) as administrator:
        await administrator.execute(f"CREATE DATABASE {name}_kept TEMPLATE {name}")

        async def restore() -> None:
            await administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")
            await administrator.execute(f"CREATE DATABASE {name} TEMPLATE {name}_kept")

        yield restore
        await administrator.execute(f"DROP DATABASE {name}_kept WITH (FORCE)")


async def test_an_older_copy_put_back_as_a_new_generation_misleads_nobody(
    place: Place, server: ServerProcess, http: aiohttp.ClientSession
) -> None:
    ada = await Client(server.url, http).registers("ada")
    boris = await Client(server.url, http).registers("boris")
    wish = {"preset": "public_chat"}
    room = (await ada.asks("POST", f"{V3}/createRoom", wish))["room_id"]
    await boris.asks("POST", f"{V3}/rooms/{room}/join")
    await ada.asks("POST", f"{V3}/keys/upload", {"one_time_keys": KEYS})
    await ada.sends(room, "before", "before")
    await boris.syncs()
    server.stop()
    async with copy_of(place) as put_back:
        server.start_again()
        for number in range(5):
            await ada.sends(room, f"lost{number}", "lost")
            await _note(ada, f"lost {number}")
            await _to_device(ada, boris, f"lost{number}")
        claim = {ada.user_id: {await _device_of(ada): "signed_curve25519"}}
        given = await boris.asks("POST", f"{V3}/keys/claim", {"one_time_keys": claim})
        assert given["one_time_keys"][ada.user_id]
        assert _texts(await boris.syncs(), room) == ["lost"] * 5
        page = (await boris.asks("GET", f"{V3}/rooms/{room}/messages", None, dir="b", limit=2))[
            "end"
        ]
        await ada.syncs()
        server.stop()
        await put_back()
        server.runs("admin", "new-generation")
        server.start_again()

        after = await ada.sends(room, "after", "after")
        await _note(ada, "after")
        await _to_device(ada, boris, "after")
        told = await boris.syncs()
        mine = await ada.syncs()

        joined = told["rooms"]["join"][room]
        events = joined["state"]["events"] + joined["timeline"]["events"]
        assert _texts(told, room) == ["before", "after"]
        assert {"m.room.create", "m.room.power_levels"} <= {e["type"] for e in events}
        assert [e["content"] for e in told["to_device"]["events"]] == [{"text": "after"}]
        notes = [e["content"] for e in mine["account_data"]["events"] if e["type"] == "org.note"]
        assert notes == [{"text": "after"}]
        assert mine["device_one_time_keys_count"].get("signed_curve25519", 0) == 0
        given = await boris.asks("POST", f"{V3}/keys/claim", {"one_time_keys": claim})
        assert given["one_time_keys"].get(ada.user_id, {}) == {}
        # From here on it is as ever: nothing twice, nothing missed.
        assert "rooms" not in await boris.syncs()
        await ada.sends(room, "later", "later")
        assert _texts(await boris.syncs(), room) == ["later"]
        assert [text for _, text in await boris.log(room)] == ["before", "after", "later"]
        # The lost transaction ids made events that are gone: sent again, they are new.
        assert await ada.sends(room, "after", "after") == after
        status, _, answer = await boris.tries(
            "GET", f"{V3}/rooms/{room}/messages", None, dir="b", from_=page
        )
        assert status in (200, 400), answer
        server.stop()
    assert server.runs("check") == SOUND


async def test_a_split_under_clients_with_old_tokens_loses_and_repeats_nothing(
    server: ServerProcess, http: aiohttp.ClientSession
) -> None:
    ada = await Client(server.url, http).registers("ada")
    boris = await Client(server.url, http).registers("boris")
    others = [await Client(server.url, http).registers(f"other{n}") for n in range(4)]
    wish = {"preset": "public_chat", "invite": []}
    rooms = [(await ada.asks("POST", f"{V3}/createRoom", wish))["room_id"] for _ in range(8)]
    for room in rooms:
        for person in (boris, *others):
            await person.asks("POST", f"{V3}/rooms/{room}/join")
    for person in (ada, boris, *others):
        await person.syncs()
    sent = {room: await ada.sends(room, "unread", "unread") for room in rooms}
    await _to_device(ada, boris, "unread")
    await _note(boris, "unread")
    invited = (await ada.asks("POST", f"{V3}/createRoom", {"invite": [boris.user_id]}))["room_id"]
    pages = {
        room: (await boris.asks("GET", f"{V3}/rooms/{room}/messages", None, dir="b", limit=1))
        for room in rooms
    }
    server.stop()
    server.runs("admin", "split", "--rooms", "4", "--users", "2")
    assert server.runs("check") == SOUND
    server.start_again()

    for room in rooms:
        assert await ada.sends(room, "unread", "unread") == sent[room], "the same transaction"
        await ada.sends(room, "new", "new")
        old = quote(sent[room])
        await ada.asks("PUT", f"{V3}/rooms/{room}/redact/{old}/gone", {"reason": "old"})
    await _to_device(ada, boris, "new")
    await _note(boris, "new")
    for person in (boris, *others):
        told = await person.syncs()
        for room in rooms:
            events = told["rooms"]["join"][room]["timeline"]["events"]
            assert [e["type"] for e in events] == ["m.room.message"] * 2 + ["m.room.redaction"]
            assert events[0]["content"] == {}
            assert events[1]["content"]["body"] == "new"
            assert not told["rooms"]["join"][room]["timeline"].get("limited")
        if person is boris:
            assert list(told["rooms"]["invite"]) == [invited]
            messages = [e["content"]["text"] for e in told["to_device"]["events"]]
            assert messages == ["unread", "new"]
            data = [e["content"] for e in told["account_data"]["events"]]
            assert data == [{"text": "new"}]
        again = await person.syncs()
        assert "rooms" not in again
        assert "to_device" not in again
    # Pages of before the split go on where they stood, through the old stream's rows.
    for room in rooms:
        page = await boris.asks(
            "GET", f"{V3}/rooms/{room}/messages", None, dir="b", limit=50, from_=pages[room]["end"]
        )
        assert [e["event_id"] for e in pages[room]["chunk"]] == [sent[room]]
        types = [e["type"] for e in page["chunk"]]
        assert types[-1] == "m.room.create"
        assert len(types) == len({e["event_id"] for e in page["chunk"]})
        assert "m.room.message" not in types
    # What is judged after it stands on the state of before it.
    await ada.asks("POST", f"{V3}/rooms/{rooms[0]}/ban", {"user_id": others[0].user_id})
    path = f"{V3}/rooms/{rooms[0]}/send/m.room.message/late"
    status, _, _ = await others[0].tries("PUT", path, {"body": "late"})
    assert status == 403
    assert rooms[0] in (await others[0].syncs())["rooms"]["leave"]
    await boris.asks("POST", f"{V3}/rooms/{invited}/join")
    assert invited in (await boris.syncs())["rooms"]["join"]
    server.stop()
    assert server.runs("check") == SOUND


def _texts(answer: Any, room: str) -> list[str]:
    events = answer["rooms"]["join"][room]["timeline"]["events"]
    return [e["content"]["body"] for e in events if e["type"] == "m.room.message"]


async def _note(person: Client, text: str) -> None:
    path = f"{V3}/user/{quote(person.user_id)}/account_data/org.note"
    await person.asks("PUT", path, {"text": text})


async def _to_device(sender: Client, target: Client, text: str) -> None:
    messages = {target.user_id: {"*": {"text": text}}}
    await sender.asks("PUT", f"{V3}/sendToDevice/org.note/{text}", {"messages": messages})


async def _device_of(person: Client) -> str:
    return str((await person.asks("GET", f"{V3}/account/whoami"))["device_id"])
