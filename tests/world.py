"""A small world for tests: a real server in this process, and people who talk to it over HTTP.

People keep their parts: Ada and Boris are ordinary, Mallory is up to no good. A device remembers
its token and where its sync stands, as a client does.
"""

import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
import orjson
from msgspec import structs
from yarl import URL

from posthouse.accounts import AccountSettings, PasswordSettings, RegistrationMode
from posthouse.app.composition import Services, compose
from posthouse.app.config import RegistrationSettings, ServerSettings, Settings, StreamSettings
from posthouse.app.discovery import Discovery
from posthouse.app.ground import Ground, ground
from posthouse.app.routes import handlers
from posthouse.http import HttpSettings, LimitSettings, Server, Site
from posthouse.storage import Database, StorageSettings
from tests.databases import Place

V3: Final = "/_matrix/client/v3"
PASSWORD: Final = "correct horse battery"

_txns = itertools.count(1)

Json = dict[str, Any]


class Refused(AssertionError):
    """An answer that wasn't 200, where one was expected."""

    def __init__(self, method: str, path: str, status: int, body: Json) -> None:
        super().__init__(f"{method} {path} -> {status} {body}")
        self.status = status
        self.body = body

    @property
    def errcode(self) -> str:
        return str(self.body.get("errcode"))


@dataclass(frozen=True)
class Answered:
    """A request and what came back, as it came."""

    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body) if self.body else {}


@dataclass
class Device:
    """One signed-in client of a person."""

    world: "World"
    user_id: str
    device_id: str
    token: str
    since: str | None = None

    async def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        **query: str | int | None,
    ) -> Json:
        """The answer of a request that is granted; raises Refused for any other."""
        status, answer = await self.world.request(method, path, body, token=self.token, **query)
        if status != 200:
            raise Refused(method, path, status, answer)
        return answer

    async def refusal(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        **query: str | int | None,
    ) -> Refused:
        """The refusal of a request that must not be granted."""
        status, answer = await self.world.request(method, path, body, token=self.token, **query)
        assert status != 200, f"{method} {path} was granted: {answer}"
        return Refused(method, path, status, answer)

    # -- rooms ---------------------------------------------------------------------------------

    async def creates(self, **wish: Any) -> str:
        return str((await self.ask("POST", f"{V3}/createRoom", wish))["room_id"])

    async def joins(self, room: str) -> None:
        await self.ask("POST", f"{V3}/rooms/{quote(room)}/join", {})

    async def invites(self, room: str, user_id: str) -> None:
        await self.ask("POST", f"{V3}/rooms/{quote(room)}/invite", {"user_id": user_id})

    async def leaves(self, room: str) -> None:
        await self.ask("POST", f"{V3}/rooms/{quote(room)}/leave", {})

    async def bans(self, room: str, user_id: str) -> None:
        await self.ask("POST", f"{V3}/rooms/{quote(room)}/ban", {"user_id": user_id})

    async def says(self, room: str, text: str, *, txn: str | None = None) -> str:
        """Sends a message; returns its event id."""
        content = {"msgtype": "m.text", "body": text}
        return await self.sends(room, "m.room.message", content, txn=txn)

    async def sends(
        self, room: str, type_: str, content: Mapping[str, Any], *, txn: str | None = None
    ) -> str:
        txn = txn or f"t{next(_txns)}"
        path = f"{V3}/rooms/{quote(room)}/send/{quote(type_)}/{quote(txn)}"
        return str((await self.ask("PUT", path, content))["event_id"])

    async def sets(
        self, room: str, type_: str, content: Mapping[str, Any], state_key: str = ""
    ) -> str:
        path = f"{V3}/rooms/{quote(room)}/state/{quote(type_)}/{quote(state_key)}"
        return str((await self.ask("PUT", path, content))["event_id"])

    async def redacts(self, room: str, event_id: str) -> str:
        path = f"{V3}/rooms/{quote(room)}/redact/{quote(event_id)}/t{next(_txns)}"
        return str((await self.ask("PUT", path, {}))["event_id"])

    async def messages(self, room: str, **query: str | int | None) -> Json:
        return await self.ask("GET", f"{V3}/rooms/{quote(room)}/messages", None, **query)

    # -- sync ----------------------------------------------------------------------------------

    async def syncs(self, *, wait_ms: int = 0, since: str | None = "", **query: Any) -> Json:
        """One sync from where the device stands (or from `since`); moves it on."""
        start = self.since if since == "" else since
        answer = await self.ask(
            "GET", f"{V3}/sync", None, since=start, timeout=wait_ms or None, **query
        )
        self.since = answer["next_batch"]
        return answer

    async def hears(self, room: str, **query: Any) -> list[str]:
        """The texts that one sync brings from a room."""
        return [
            event["content"].get("body", "")
            for event in self.timeline(await self.syncs(**query), room)
        ]

    @staticmethod
    def timeline(answer: Json, room: str) -> list[Json]:
        joined = answer.get("rooms", {}).get("join", {}).get(room, {})
        events: list[Json] = joined.get("timeline", {}).get("events", [])
        return events


@dataclass
class Person:
    """Somebody with an account; `phone` is the device that they registered with."""

    user_id: str
    phone: Device
    name: str


@dataclass
class World:
    """A running server and its people."""

    place: Place
    settings: Settings
    wrap: Callable[[Database], Database] | None = None
    """Puts something between the server and its database: faults on demand."""
    watch: Callable[[Answered], None] | None = None
    """Sees every answer before who asked for it does."""
    people: dict[str, Person] = field(default_factory=dict)
    services: Services = field(init=False)
    here: Ground = field(init=False)
    address: str = field(init=False)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _http: aiohttp.ClientSession = field(init=False)

    async def start(self) -> None:
        """Starts the server on the data that there is."""
        self._stack = AsyncExitStack()
        self._http = await self._stack.enter_async_context(
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        )
        self.here = await self._stack.enter_async_context(ground(self.settings, self._open))
        self.services = await self._stack.enter_async_context(compose(self.here))
        discovery = Discovery(self.settings)
        site = Site(
            handlers(),
            {Discovery: discovery, **self.services.by_type()},
            authenticator=self.here.accounts,
            settings=self.settings.http,
            limits=self.settings.limits,
            clock=self.here.clock,
            gate=self.here.ownership.check,
        )
        server = Server(site, self.here.clock)
        self.address = f"http://{(await server.start())[0]}"
        self._stack.push_async_callback(server.stop)

    async def _open(self, settings: StorageSettings, data: Path) -> Database:
        database = await self.place.open()
        return self.wrap(database) if self.wrap else database

    async def stop(self) -> None:
        await self._stack.aclose()

    async def restart(self) -> None:
        """The server goes down in order and comes back on the same data."""
        await self.stop()
        await self.start()

    async def become(self, **sections: Any) -> None:
        """The server comes back with other settings."""
        self.settings = structs.replace(self.settings, **sections)
        await self.restart()

    async def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes | None = None,
        *,
        token: str | None = None,
        **query: str | int | None,
    ) -> tuple[int, Json]:
        """One request: the status and the JSON of the answer."""
        status, _, answer = await self.answer_of(method, path, body, token=token, **query)
        return status, answer

    async def answer_of(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes | None = None,
        *,
        token: str | None = None,
        **query: str | int | None,
    ) -> tuple[int, Mapping[str, str], Json]:
        """The same with the answer's headers."""
        if body is None and method in ("POST", "PUT"):
            body = b"{}"
        answered = await self.exchange(method, path, body, token=token, query=query)
        return answered.status, answered.headers, answered.json

    async def exchange(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes | None = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str | int | None] = MappingProxyType({}),
    ) -> Answered:
        """One request, and the whole of its answer."""
        given = {key.rstrip("_"): value for key, value in query.items() if value is not None}
        url = self.address + path + ("?" + urlencode(given) if given else "")
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        async with self._http.request(
            method,
            URL(url, encoded=True),
            data=body if isinstance(body, bytes | None) else orjson.dumps(body),
            headers={**sent, **(headers or {})},
            timeout=aiohttp.ClientTimeout(60),
            allow_redirects=False,
        ) as answer:
            answered = Answered(method, path, answer.status, answer.headers, await answer.read())
        if self.watch is not None:
            self.watch(answered)
        return answered

    async def person(self, name: str) -> Person:
        """Somebody who registers now, or did before."""
        known = self.people.get(name)
        if known is not None:
            return known
        body = {"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
        status, answer = await self.request("POST", f"{V3}/register", body)
        assert status == 200, answer
        device = Device(self, answer["user_id"], answer["device_id"], answer["access_token"])
        person = self.people[name] = Person(answer["user_id"], device, name)
        return person

    async def another_device(self, person: Person) -> Device:
        """A second client of the same person signs in."""
        body = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": person.name},
            "password": PASSWORD,
        }
        status, answer = await self.request("POST", f"{V3}/login", body)
        assert status == 200, answer
        return Device(self, answer["user_id"], answer["device_id"], answer["access_token"])

    async def room(self, owner: Person, *members: Person, **wish: Any) -> str:
        """A room of `owner` that the members have joined."""
        wish.setdefault("preset", "public_chat")
        room = await owner.phone.creates(**wish)
        for member in members:
            if wish["preset"] != "public_chat":
                await owner.phone.invites(room, member.user_id)
            await member.phone.joins(room)
        return room


def settings_for(place: Place, *, room_streams: int = 1, user_streams: int = 1) -> Settings:
    """A server for tests: open registration, cheap passwords, no limits, a free port."""
    return Settings(
        server=ServerSettings(data=str(place.data)),
        http=HttpSettings(listen=("127.0.0.1:0",)),
        limits=LimitSettings(enabled=False),
        storage=place.settings,
        registration=RegistrationSettings(mode=RegistrationMode.OPEN),
        streams=StreamSettings(room_streams=room_streams, user_streams=user_streams),
        accounts=AccountSettings(passwords=PasswordSettings(memory_kib=64, passes=1)),
    )


@asynccontextmanager
async def world_at(
    place: Place,
    *,
    room_streams: int = 1,
    user_streams: int = 1,
    wrap: Callable[[Database], Database] | None = None,
) -> AsyncIterator[World]:
    """A world on a place's data, stopped at the end."""
    settings = settings_for(place, room_streams=room_streams, user_streams=user_streams)
    world = World(place, settings, wrap)
    await world.start()
    try:
        yield world
    finally:
        await world.stop()
