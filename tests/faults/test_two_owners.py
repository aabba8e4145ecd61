"""Two owners of the same streams: the old one was paused, another took over, the old one goes on.

Two engines stand over one database (on SQLite over one file, the folder's lock put aside). Every
kind of write is tried on the old owner, and each must fail by the fence: nothing of it is in the
data, and afterwards the old owner answers nothing from memory, because it can't know any more.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import pytest

from posthouse.matrix import UserId
from posthouse.storage import Owner
from posthouse.streams import ROOM_TABLE, USER_TABLE
from tests.databases import Place
from tests.http.support import until
from tests.server_process import running_server
from tests.world import PASSWORD, V3, Device, Json, Person, World, world_at

FIRST_KEY: Final = {"signed_curve25519:AAAAAQ": {"key": "Zm9v", "signatures": {}}}


@dataclass
class Old:
    """The old owner with people who know each other, before anybody takes over."""

    world: World
    ada: Person
    boris: Person
    room: str
    said: str
    laptop: Device

    async def answer(
        self, method: str, path: str, body: Json | None = None, *, token: str | None = None
    ) -> int:
        status, headers, _ = await self.world.answer_of(
            method, path, body, token=token or self.ada.phone.token
        )
        assert status != 503 or "Retry-After" in headers
        return status

    def in_room(self, rest: str) -> str:
        return f"{V3}/rooms/{quote(self.room)}/{rest}"


Deed = Callable[[Old], Awaitable[int]]


async def send(old: Old) -> int:
    return await old.answer("PUT", old.in_room("send/m.room.message/late"), {"body": "late"})


async def state(old: Old) -> int:
    return await old.answer("PUT", old.in_room("state/m.room.name"), {"name": "late"})


async def redaction(old: Old) -> int:
    return await old.answer("PUT", old.in_room(f"redact/{quote(old.said)}/late"), {})


async def ban(old: Old) -> int:
    return await old.answer("POST", old.in_room("ban"), {"user_id": old.boris.user_id})


async def leave(old: Old) -> int:
    return await old.answer("POST", old.in_room("leave"), {})


async def forget(old: Old) -> int:
    return await old.answer(
        "POST", old.in_room("forget"), {}, token=old.world.people["dora"].phone.token
    )


async def create(old: Old) -> int:
    return await old.answer("POST", f"{V3}/createRoom", {"name": "late"})


async def to_device(old: Old) -> int:
    messages = {old.boris.user_id: {"*": {"late": 1}}}
    return await old.answer("PUT", f"{V3}/sendToDevice/org.late/late", {"messages": messages})


async def account_data(old: Old) -> int:
    path = f"{V3}/user/{quote(old.ada.user_id)}/account_data/org.late"
    return await old.answer("PUT", path, {"late": 1})


async def room_account_data(old: Old) -> int:
    path = f"{V3}/user/{quote(old.ada.user_id)}/rooms/{quote(old.room)}/account_data/org.late"
    return await old.answer("PUT", path, {"late": 1})


async def sync_filter(old: Old) -> int:
    path = f"{V3}/user/{quote(old.ada.user_id)}/filter"
    return await old.answer("POST", path, {"room": {"timeline": {"limit": 7}}})


async def profile(old: Old) -> int:
    path = f"{V3}/profile/{quote(old.ada.user_id)}/displayname"
    return await old.answer("PUT", path, {"displayname": "Late"})


async def keys_upload(old: Old) -> int:
    return await old.answer("POST", f"{V3}/keys/upload", {"one_time_keys": FIRST_KEY})


async def keys_claim(old: Old) -> int:
    wanted = {old.boris.user_id: {old.boris.phone.device_id: "signed_curve25519"}}
    return await old.answer("POST", f"{V3}/keys/claim", {"one_time_keys": wanted})


async def login(old: Old) -> int:
    body = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": "ada"},
        "password": PASSWORD,
    }
    return await old.answer("POST", f"{V3}/login", body)


async def logout(old: Old) -> int:
    return await old.answer("POST", f"{V3}/logout", {}, token=old.laptop.token)


async def rename_device(old: Old) -> int:
    path = f"{V3}/devices/{old.ada.phone.device_id}"
    return await old.answer("PUT", path, {"display_name": "Late"})


async def change_password(old: Old) -> int:
    return await old.answer("POST", f"{V3}/account/password", with_password(old))


async def deactivate(old: Old) -> int:
    body = with_password(old) | {"erase": True}
    return await old.answer("POST", f"{V3}/account/deactivate", body)


async def register(old: Old) -> int:
    body = {"username": "late", "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
    return await old.answer("POST", f"{V3}/register", body)


def with_password(old: Old) -> Json:
    auth = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": "ada"},
        "password": PASSWORD,
    }
    return {"new_password": "another good one", "auth": auth}


DEEDS: Final[dict[Deed, Owner]] = {
    send: Owner.ROOM,
    state: Owner.ROOM,
    redaction: Owner.ROOM,
    ban: Owner.ROOM,
    leave: Owner.ROOM,
    create: Owner.ROOM,
    forget: Owner.USER,
    to_device: Owner.USER,
    account_data: Owner.USER,
    room_account_data: Owner.USER,
    sync_filter: Owner.USER,
    profile: Owner.USER,
    keys_upload: Owner.USER,
    keys_claim: Owner.USER,
    login: Owner.USER,
    logout: Owner.USER,
    rename_device: Owner.USER,
    change_password: Owner.USER,
    deactivate: Owner.USER,
    register: Owner.USER,
}


@asynccontextmanager
async def old_owner(place: Place) -> AsyncIterator[Old]:
    async with world_at(place.shared(), room_streams=2, user_streams=2) as world:
        ada, boris = await world.person("ada"), await world.person("boris")
        dora = await world.person("dora")
        room = await world.room(ada, boris, dora)
        await ada.phone.sets(room, "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
        said = await ada.phone.says(room, "early")
        await dora.phone.leaves(room)
        await boris.phone.ask("POST", f"{V3}/keys/upload", {"one_time_keys": FIRST_KEY})
        laptop = await world.another_device(ada)
        await ada.phone.syncs()
        await boris.phone.syncs()
        await world.services.settled()
        yield Old(world, ada, boris, room, said, laptop)


async def everything(world: World) -> dict[str, list[Any]]:
    """Every row of the tables of rooms and people."""
    rows: dict[str, list[Any]] = {}
    for owner in (Owner.ROOM, Owner.USER):
        reader = world.here.database.reader(of=owner)
        for table in await _tables(world, owner):
            found = await reader.fetch_all(f"SELECT * FROM {table}")
            rows[table] = sorted(found, key=repr)
    return rows


async def _tables(world: World, owner: Owner) -> list[str]:
    catalogue = (
        "SELECT name FROM sqlite_schema WHERE type = 'table'"
        if world.here.database.engine == "sqlite"
        else "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'"
    )
    found = await world.here.database.reader(of=owner).fetch_all(catalogue)
    return [name for (name,) in found]


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
async def test_no_write_of_an_owner_that_was_replaced_gets_through(
    place: Place, deed: Deed
) -> None:
    async with old_owner(place) as old:
        assert await old.answer("GET", f"{V3}/sync?since={old.ada.phone.since}") == 200
        async with world_at(place.shared()) as new:
            before = await everything(new)

            status = await deed(old)

            assert status == 503
            assert old.world.here.ownership.lost
            assert await everything(new) == before
            assert await old.answer("GET", f"{V3}/sync?since={old.ada.phone.since}") == 503
            assert await old.answer("GET", old.in_room("messages?dir=b")) == 503
            assert await old.answer("GET", f"{V3}/account/whoami") == 503
            # The same deed would have changed something, and does so where it is asked rightly.
            new.people = old.world.people
            assert await deed(replace(old, world=new)) == 200
            await new.services.settled()
            after = await everything(new)
            fences = {"room_streams", "user_streams"}
            assert [t for t in after if t not in fences and after[t] != before[t]]


async def test_the_polls_of_an_owner_that_was_replaced_are_answered_503(place: Place) -> None:
    async with old_owner(place) as old, world_at(place.shared()):
        boris = old.boris.phone
        statuses = []

        async def poll() -> None:
            refusal = await boris.refusal(
                "GET", f"{V3}/sync", None, since=boris.since, timeout=60_000
            )
            statuses.append(refusal.status)

        async with asyncio.TaskGroup() as group:
            group.create_task(poll())
            homes = old.world.services.sync._homes
            await until(lambda: homes[UserId(boris.user_id)].waiters)
            assert await send(old) == 503

        assert statuses == [503]


async def test_what_follows_the_streams_writes_nothing_for_a_replaced_owner(place: Place) -> None:
    """The projector, device notes and the index of transactions, on an owner that doesn't know yet."""
    async with old_owner(place) as old:
        services = old.world.services
        stream = services.room_streams.streams.stream_of(old.room)
        async with world_at(place.shared()) as new:
            before = await everything(new)

            services.projector._targets[stream] += 1
            services.projector._reached[stream] = 0
            services.projector._wake.set()
            for consumer in services.consumers:
                for user_stream in consumer._targets:
                    consumer._positions[user_stream] = 0
                consumer._wake.set()
            await until(lambda: old.world.here.ownership.lost)

            assert await everything(new) == before


async def test_the_process_of_a_replaced_owner_ends_with_an_error(place: Place) -> None:
    storage_url = place.settings.url if place.engine == "postgresql" else None
    with running_server(place.data, storage_url=storage_url) as server:
        async with place.shared().opened() as database:
            for owner, table in ((Owner.ROOM, ROOM_TABLE), (Owner.USER, USER_TABLE)):
                async with database.transaction(of=owner) as tx:
                    await table.take_over(tx, 1)
        async with aiohttp.ClientSession() as session:
            body = {"username": "late", "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
            async with session.post(f"{server.url}{V3}/register", json=body) as answer:
                assert answer.status == 503
                assert "Retry-After" in answer.headers

        assert server.wait() == 1
        assert "stepped down" in server.log_text()
        assert "Another process has taken over the data." in server.log_text()
