"""SIGTERM with a thousand people waiting: each is answered, and the process is gone in time."""

import asyncio
import resource
import time

import aiohttp
import pytest

from tests.databases import Place
from tests.faults.load import Client
from tests.server_process import running_server
from tests.world import V3

POLLS = 1_000
STOP_S_MAX = 5.0


@pytest.fixture
def many_files() -> None:
    """This process holds the clients' ends; the server sees to its own limit, and starts low."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def test_a_thousand_open_polls_are_answered_when_the_server_stops(
    place: Place, many_files: None
) -> None:
    storage_url = place.settings.url if place.engine == "postgresql" else None
    with running_server(place.data, storage_url=storage_url, open_files=256) as server:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            people = [await Client(server.url, http).registers(f"p{n}") for n in range(20)]
            room = (await people[0].asks("POST", f"{V3}/createRoom", {"preset": "public_chat"}))[
                "room_id"
            ]
            for person in people[1:]:
                await person.asks("POST", f"{V3}/rooms/{room}/join")
            for person in people:
                await person.syncs()
            answers: list[int] = []

            async def poll(person: Client) -> None:
                status, _, answer = await person.tries(
                    "GET", f"{V3}/sync", None, since=person.since, timeout=60_000
                )
                answers.append(status)
                person.since = answer["next_batch"]

            async with asyncio.TaskGroup() as group:
                for n in range(POLLS):
                    group.create_task(poll(people[n % 20]))
                await _until_connected(server.port)
                await people[0].asks("GET", f"{V3}/account/whoami")
                began = time.monotonic()
                await asyncio.to_thread(server.stop)
                took = time.monotonic() - began

            assert answers == [200] * POLLS
            assert took < STOP_S_MAX

        # The tokens they were given are good: the next start tells what came after them.
        server.start_again()
        async with aiohttp.ClientSession() as http:
            for person in people:
                person.http = http
            await people[0].sends(room, "after", "after")
            for person in people:
                told = (await person.syncs())["rooms"]["join"][room]["timeline"]["events"]
                assert [event["content"].get("body") for event in told] == ["after"]


async def _until_connected(port: int) -> None:
    """Until the kernel has every connection."""
    deadline = time.monotonic() + 20
    while _established(port) < POLLS:
        assert time.monotonic() < deadline, "the connections were not made"
        await asyncio.sleep(0.05)


def _established(port: int) -> int:
    """Connections whose server's end is this port, by the kernel's own table."""
    wanted = f"0100007F:{port:04X}"
    with open("/proc/net/tcp") as table:
        return sum(1 for line in table if line.split()[1:4:2] == [wanted, "01"])
