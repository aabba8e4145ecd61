"""Polls that a test holds in its hands: asked, drained and answered in a turn of the loop it chooses.

Everything behind them is the real server; only the connection is left out.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import orjson

from posthouse.http import Caller
from posthouse.matrix import DeviceId, Refusal, UserId
from tests.world import Device, Json, World


class Poll:
    """One `/sync` without a connection; what an `Exchange` is to the service."""

    def __init__(self, group: asyncio.TaskGroup, device: Device, **query: str | int | None) -> None:
        self.query = {key: str(value) for key, value in query.items() if value is not None}
        self.device = device
        self.is_open = True
        self.on_gone: Callable[[], None] | None = None
        self.on_drain: Callable[[], None] | None = None
        self.error: BaseException | None = None
        self.done = asyncio.Event()
        self._group = group
        self._body: Json = {}

    def answer(self, body: bytes) -> None:
        if self.is_open:
            self._body = orjson.loads(body)
            self._close()

    def refuse(self, refusal: Refusal) -> None:
        self.fail(refusal)

    def fail(self, error: BaseException) -> None:
        if self.is_open:
            self.error = error
            self._close()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        async def guarded() -> None:
            try:
                await work
            except Exception as error:
                self.fail(error)

        self._group.create_task(guarded())

    def _close(self) -> None:
        self.is_open = False
        self.on_gone = self.on_drain = None
        self.done.set()

    @property
    def is_parked(self) -> bool:
        return self.on_drain is not None

    async def answered(self) -> Json:
        """The answer, when it is there; the device's next sync starts behind it."""
        await self.done.wait()
        if self.error is not None:
            raise self.error
        self.device.since = self._body["next_batch"]
        return self._body


def poll(world: World, group: asyncio.TaskGroup, device: Device, **query: Any) -> Poll:
    """Asks, from where the device stands unless `since` says otherwise."""
    query.setdefault("since", device.since)
    asked = Poll(group, device, **query)
    caller = Caller(UserId(device.user_id), DeviceId(device.device_id), b"")
    world.services.sync.poll(caller, asked)  # type: ignore[arg-type]  # an Exchange's likeness
    return asked


def texts(answer: Json, room: str, where: str = "join") -> list[str]:
    """What was said in a room, as one answer tells it."""
    told = answer.get("rooms", {}).get(where, {}).get(room, {})
    return [e["content"].get("body", "") for e in told.get("timeline", {}).get("events", [])]


def said(answers: list[Json], room: str) -> list[str]:
    """The messages that some answers bring from a room, whatever the person is there."""
    return [
        text
        for answer in answers
        for where in ("join", "leave")
        for text in texts(answer, room, where)
        if text
    ]


def knows(answers: list[Json], room: str, type_: str, state_key: str = "") -> Json | None:
    """The newest content of a piece of state that some answers bring."""
    found = None
    for answer in answers:
        for where in ("join", "leave"):
            told = answer.get("rooms", {}).get(where, {}).get(room, {})
            for part in ("state", "timeline"):
                for event in told.get(part, {}).get("events", []):
                    if event["type"] == type_ and event.get("state_key") == state_key:
                        found = event["content"]
    return found
