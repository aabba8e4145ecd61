"""Clients that hang up in the middle of a send: the write is the writer's, not theirs.

Three connections in ten are cut at a random moment: while the request goes out, before the answer,
or in the middle of it. Each client then asks again with the same transaction id, as real ones do.
"""

import asyncio
import random
from collections import Counter
from urllib.parse import quote, urlsplit

import aiohttp
import orjson
import pytest

from tests.databases import Place
from tests.faults.load import Client
from tests.server_process import ServerProcess, running_server
from tests.world import V3

CUT_SHARE = 0.3
AT_ONCE = 32


@pytest.mark.parametrize(
    "sends", [2_000, pytest.param(10_000, marks=pytest.mark.long)], ids=["2k", "10k"]
)
async def test_a_send_whose_connection_is_cut_is_there_at_most_once(
    place: Place, sends: int
) -> None:
    storage_url = place.settings.url if place.engine == "postgresql" else None
    with running_server(place.data, storage_url=storage_url) as server:
        async with aiohttp.ClientSession() as http:
            ada = await Client(server.url, http).registers("ada")
            wish = {"preset": "public_chat"}
            room = (await ada.asks("POST", f"{V3}/createRoom", wish))["room_id"]
            load = _Load(server, ada.token, room, sends)
            await load.run()

            counts = Counter(text for _, text in await ada.log(room))
            assert load.cuts > sends * CUT_SHARE / 2
            assert load.broken == []
            assert [text for text, count in counts.items() if count > 1] == []
            assert [txn for txn in load.acknowledged if counts[txn] != 1] == []

            # Asked again, each transaction gives the event that there is, or makes the one missing.
            again = {txn: await ada.sends(room, txn, txn) for txn in load.cut_txns[:200]}
            log = await ada.log(room)
            assert all((event_id, txn) in log for txn, event_id in again.items())
            assert max(Counter(text for _, text in log).values()) == 1
        server.stop()
        assert server.runs("check") == "The data is sound.\n"
        assert "handler failed" not in server.log_text()


class _Load:
    """Sends over raw connections, some of which are cut."""

    def __init__(self, server: ServerProcess, token: str, room: str, sends: int) -> None:
        self._host, self._port = urlsplit(server.url).hostname, urlsplit(server.url).port
        self._token = token
        self._room = room
        self._left = iter(range(sends))
        self._chance = random.Random(7)
        self.cuts = 0
        self.acknowledged: list[str] = []
        self.cut_txns: list[str] = []
        self.broken: list[bytes] = []
        """Answers that are none of ours."""

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._client())

    async def _client(self) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        for number in self._left:
            txn = f"t{number}"
            request = self._request(txn)
            if self._chance.random() >= CUT_SHARE:
                writer.write(request)
                status, _ = await _answer(reader)
                if status == 200:
                    self.acknowledged.append(txn)
                else:
                    self.broken.append(b"%d" % status)
                continue
            self.cuts += 1
            self.cut_txns.append(txn)
            await self._cut(reader, writer, request)
            reader, writer = await asyncio.open_connection(self._host, self._port)
        writer.close()

    async def _cut(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> None:
        match self._chance.randrange(3):
            case 0:
                writer.write(request[: self._chance.randrange(len(request))])
            case 1:
                writer.write(request)
                # Anything from at once to well after the commit.
                await asyncio.sleep(self._chance.choice((0, 0, 0.0005, 0.002, 0.005)))
            case _:
                writer.write(request)
                await reader.read(self._chance.randrange(1, 40))
        writer.transport.abort()

    def _request(self, txn: str) -> bytes:
        body = orjson.dumps({"msgtype": "m.text", "body": txn})
        path = f"{V3}/rooms/{quote(self._room)}/send/m.room.message/{txn}"
        return (
            f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self._token}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    return int(head.split(b" ", 2)[1]), await reader.readexactly(length)
