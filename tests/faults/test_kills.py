"""`kill -9` in the middle of a load: what was acknowledged is there, once, in its order."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.databases import Place
from tests.faults.load import Client, Sender, problems_of
from tests.server_process import ServerProcess, running_server
from tests.world import V3

SENDERS = 8


@pytest.fixture
def server(place: Place) -> Iterator[ServerProcess]:
    """Several streams of each kind: the batches of one are cut off at different moments."""
    storage_url = place.settings.url if place.engine == "postgresql" else None
    settings = {"streams.room_streams": "2", "streams.user_streams": "2"}
    with running_server(place.data, storage_url=storage_url, settings=settings) as process:
        yield process


@asynccontextmanager
async def clients(server: ServerProcess) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        yield http


async def test_two_kills_under_load_lose_nothing(server: ServerProcess) -> None:
    await _kill_under_load(server, kills=2, load_s=0.7)


@pytest.mark.long
async def test_ten_kills_under_load_lose_nothing(server: ServerProcess) -> None:
    await _kill_under_load(server, kills=10, load_s=3.0)


async def _kill_under_load(server: ServerProcess, *, kills: int, load_s: float) -> None:
    chance = random.Random(server.port)
    async with clients(server) as http:
        ada = await Client(server.url, http).registers("ada")
        rooms = [
            (await ada.asks("POST", f"{V3}/createRoom", {"preset": "public_chat"}))["room_id"]
            for _ in range(3)
        ]
        reader = await Client(server.url, http).registers("boris")
        for room in rooms:
            await reader.asks("POST", f"{V3}/rooms/{room}/join")
        heard: dict[str, list[str]] = {room: [] for room in rooms}
        await reader.syncs()
        senders = [Sender(ada, rooms[n % 3], f"s{n}") for n in range(SENDERS)]
        for _ in range(kills):
            before = sum(len(sender.acknowledged) for sender in senders)
            async with asyncio.TaskGroup() as group:
                for sender in senders:
                    group.create_task(sender.run(asyncio.Event()))
                await asyncio.sleep(load_s * chance.uniform(0.5, 1.5))
                server.kill()
            assert sum(len(sender.acknowledged) for sender in senders) > before
            server.start_again()
            # A reader with a token of before the kill goes on with it.
            await _hear(reader, heard)
        for room in rooms:
            theirs = [sender for sender in senders if sender.room == room]
            log = await reader.log(room)
            assert problems_of(log, theirs) == []
            assert heard[room] == [event_id for event_id, _ in log]
    server.stop()
    assert server.runs("check") == "The data is sound.\n"


async def _hear(reader: Client, heard: dict[str, list[str]]) -> None:
    """Everything that is new, gaps filled by pagination."""
    sync_filter = '{"room":{"timeline":{"limit":500}}}'
    answer = await reader.syncs(filter=sync_filter)
    for room, told in answer.get("rooms", {}).get("join", {}).items():
        events = told["timeline"]["events"]
        found = [e["event_id"] for e in events if e["type"] == "m.room.message"]
        if told["timeline"].get("limited"):
            log = [event_id for event_id, _ in await reader.log(room)]
            known = log.index(heard[room][-1]) + 1 if heard[room] else 0
            found = log[known : log.index(found[0])] + found
        heard[room] += found
