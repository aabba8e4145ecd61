"""A load of sends against a server that may die, and what was acknowledged of it."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from tests.world import PASSWORD, V3

_GONE: Final = (aiohttp.ClientError, TimeoutError, ConnectionError)


@dataclass
class Client:
    """One device that speaks to a server process."""

    url: str
    http: aiohttp.ClientSession
    token: str = ""
    user_id: str = ""
    since: str | None = None

    async def asks(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        status, _, answer = await self.tries(method, path, body, **query)
        assert status == 200, (method, path, status, answer)
        return answer

    async def tries(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Status, headers, body; raises what aiohttp raises of a server that is gone."""
        async with self.http.request(
            method,
            self.url + path,
            json=body if body is not None or method == "GET" else {},
            params={key.rstrip("_"): str(value) for key, value in query.items()},
            headers={"Authorization": f"Bearer {self.token}"} if self.token else {},
            timeout=aiohttp.ClientTimeout(60),
        ) as answer:
            return answer.status, answer.headers, await answer.json(content_type=None)

    async def registers(self, name: str) -> "Client":
        body = {"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
        answer = await self.asks("POST", f"{V3}/register", body)
        self.token, self.user_id = answer["access_token"], answer["user_id"]
        return self

    async def syncs(self, **query: Any) -> Any:
        if self.since is not None:
            query["since"] = self.since
        answer = await self.asks("GET", f"{V3}/sync", None, **query)
        self.since = answer["next_batch"]
        return answer

    async def sends(self, room: str, txn: str, text: str) -> str:
        path = f"{V3}/rooms/{quote(room)}/send/m.room.message/{txn}"
        answer = await self.asks("PUT", path, {"msgtype": "m.text", "body": text})
        return str(answer["event_id"])

    async def log(self, room: str) -> list[tuple[str, str]]:
        """Every message of a room, oldest first: event id and text."""
        found: list[tuple[str, str]] = []
        start = None
        while True:
            query: dict[str, str] = {} if start is None else {"from_": start}
            answer = await self.asks(
                "GET", f"{V3}/rooms/{quote(room)}/messages", None, dir_="f", limit=100, **query
            )
            found += [
                (event["event_id"], event["content"]["body"])
                for event in answer["chunk"]
                if event["type"] == "m.room.message"
            ]
            start = answer.get("end")
            if start is None:
                return found


@dataclass
class Sender:
    """Sends one message after another; a repeat keeps its transaction id, as clients do."""

    client: Client
    room: str
    name: str
    ballast: int = 0
    """Bytes more in each message."""
    number: int = 0
    acknowledged: list[tuple[str, str]] = field(default_factory=list)
    """Event id and text, in the order of the answers."""
    refused: int = 0
    """How often the answer was 503; each with `Retry-After`."""

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop, or until the server is gone."""
        while not stop.is_set():
            try:
                await self.send_next()
            except _GONE:
                return

    async def send_next(self) -> None:
        text = f"{self.name}-{self.number}"
        path = f"{V3}/rooms/{quote(self.room)}/send/m.room.message/{text}"
        status, headers, answer = await self.client.tries(
            "PUT", path, {"msgtype": "m.text", "body": text, "ballast": "x" * self.ballast}
        )
        if status == 503:
            assert "Retry-After" in headers
            self.refused += 1
            await asyncio.sleep(0.02)
            return
        assert status == 200, answer
        self.acknowledged.append((answer["event_id"], text))
        self.number += 1


def problems_of(log: list[tuple[str, str]], senders: list[Sender]) -> list[str]:
    """What is wrong with a room's log, given what its senders were told."""
    problems = []
    counts = Counter(text for _, text in log)
    problems += [f"{text} is {count} events" for text, count in counts.items() if count > 1]
    places = {entry: place for place, entry in enumerate(log)}
    for sender in senders:
        missing = [entry for entry in sender.acknowledged if entry not in places]
        problems += [f"{entry} was acknowledged and is lost" for entry in missing]
        order = [places[entry] for entry in sender.acknowledged if entry in places]
        if order != sorted(order):
            problems.append(f"the messages of {sender.name} are out of order")
    return problems
