"""A person's device on `matrix-nio`, end-to-end encryption (vodozemac) included."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import nio  # type: ignore[import-untyped]  # the library carries no types

_T = TypeVar("_T")

_WAIT_S_MAX = 20.0

PASSWORD = "correct horse battery staple"


class NioDevice:
    """A client with its store on disk; `seen` is every timeline event of every sync, in order.

    An event that can't be decrypted when it arrives stays a `nio.MegolmEvent` in `seen`: a test
    that finds one has found a key that came after its message.
    """

    def __init__(self, url: str, store: Path, user: str, device_id: str = "") -> None:
        store.mkdir(parents=True, exist_ok=True)
        self.client = nio.AsyncClient(
            url,
            user,
            device_id=device_id or None,
            store_path=str(store),
            config=nio.AsyncClientConfig(
                encryption_enabled=True, store_sync_tokens=True, max_timeouts=20
            ),
        )
        self.seen: dict[str, list[nio.Event]] = {}
        self.prev_batch: dict[str, str] = {}
        """The first `prev_batch` of each room: where back-pagination begins."""

    async def sign_up(self, name: str) -> None:
        expect(nio.RegisterResponse, await self.client.register(name, PASSWORD, "a test"))

    async def sign_in(self) -> None:
        expect(nio.LoginResponse, await self.client.login(PASSWORD, "a test"))

    async def turn(self, timeout_ms: int = 0, *, full_state: bool = False) -> nio.SyncResponse:
        """One sync and what a client does after it: keys uploaded, asked for and claimed."""
        response = expect(
            nio.SyncResponse,
            await self.client.sync(timeout=timeout_ms, full_state=full_state or None),
        )
        for room_id, room in response.rooms.join.items():
            self.seen.setdefault(room_id, []).extend(room.timeline.events)
            if room.timeline.prev_batch:
                self.prev_batch.setdefault(room_id, room.timeline.prev_batch)
        if self.client.should_upload_keys:
            expect(nio.KeysUploadResponse, await self.client.keys_upload())
        if self.client.should_query_keys:
            expect(nio.KeysQueryResponse, await self.client.keys_query())
        if self.client.should_claim_keys:
            users = self.client.get_users_for_key_claiming()
            expect(nio.KeysClaimResponse, await self.client.keys_claim(users))
        await self.client.send_to_device_messages()
        return response

    async def turns_until(self, condition: Callable[[], _T | None]) -> _T:
        """Syncs until `condition` gives something; a TimeoutError where it never does."""
        async with asyncio.timeout(_WAIT_S_MAX):
            while not (found := condition()):
                await self.turn(timeout_ms=1_000)
            return found

    async def says(self, room_id: str, text: str) -> str:
        """Sends a text, encrypted where the room is; returns the event's id."""
        return await self.sends(room_id, {"msgtype": "m.text", "body": text})

    async def sends(self, room_id: str, content: dict[str, Any]) -> str:
        response = await self.client.room_send(
            room_id, "m.room.message", content, ignore_unverified_devices=True
        )
        return str(expect(nio.RoomSendResponse, response).event_id)

    def event(self, room_id: str, event_id: str) -> nio.Event | None:
        """An event that has come with a sync; None where it hasn't."""
        return next((e for e in self.seen.get(room_id, []) if e.event_id == event_id), None)

    def undecrypted(self) -> list[str]:
        """Events whose key wasn't there when they came."""
        return [
            e.event_id
            for events in self.seen.values()
            for e in events
            if isinstance(e, nio.MegolmEvent)
        ]

    async def reads_back(self, room_id: str, start: str, *, limit: int = 3) -> list[nio.Event]:
        """All events before `start`, oldest first, in pages of `limit`."""
        events: list[nio.Event] = []
        token: str | None = start
        while token is not None:
            page = expect(
                nio.RoomMessagesResponse,
                await self.client.room_messages(room_id, token, limit=limit),
            )
            events.extend(page.chunk)
            token = page.end
        return events[::-1]


@asynccontextmanager
async def nio_device(url: str, store: Path, user: str) -> AsyncIterator[NioDevice]:
    """A device that isn't signed in yet; its connections close at exit."""
    device = NioDevice(url, store, user)
    try:
        yield device
    finally:
        await device.client.close()


@asynccontextmanager
async def same_device_again(device: NioDevice, url: str, store: Path) -> AsyncIterator[NioDevice]:
    """The device after its app was closed and opened: what it knows is what its store holds."""
    old = device.client
    await old.close()
    again = NioDevice(url, store, old.user_id, old.device_id)
    try:
        again.client.restore_login(old.user_id, old.device_id, old.access_token)
        # nio keeps no rooms on disk: a client on it asks for their state when it starts.
        await again.turn(full_state=True)
        yield again
    finally:
        await again.client.close()


def expect(kind: type[_T], response: object) -> _T:
    """The response, which must be of the kind that means success."""
    assert isinstance(response, kind), repr(response)
    return response
