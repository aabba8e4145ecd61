"""Accounts on each engine, with a clock that tests move and hashes that cost little."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from posthouse.accounts import (
    Accounts,
    AccountSettings,
    AuthData,
    PasswordSettings,
    RegistrationMode,
    SignIn,
    UserIdentifier,
    open_accounts,
)
from posthouse.accounts.model import DeviceWish
from posthouse.http import Caller
from posthouse.matrix import DeviceId, ServerName, UserId
from posthouse.std.clock import SystemRandomness
from posthouse.storage import Database
from posthouse.streams import UserEntry, UserStreams, load_facts

SERVER = ServerName("localhost")
CHEAP = AccountSettings(passwords=PasswordSettings(memory_kib=8, passes=1))
SECRET = "correct horse"


class TestClock:
    """Stands still until a test moves it."""

    __test__ = False

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


class Office:
    """Accounts with people in them, and the entries that their streams announced."""

    def __init__(self, accounts: Accounts, streams: UserStreams, clock: TestClock) -> None:
        self.accounts = accounts
        self.streams = streams
        self.clock = clock
        self.announced: list[UserEntry] = []
        streams.listen(self.announced.extend)

    async def person(self, name: str, password: str = SECRET) -> UserId:
        return await self.accounts.create_user(name, password)

    async def signs_in(
        self, name: str, password: str = SECRET, *, device: str | None = None, refresh: bool = False
    ) -> SignIn:
        wish = DeviceWish(
            device_id=None if device is None else DeviceId(device), refreshable=refresh
        )
        return await self.accounts.sign_in(name, password, wish)

    async def caller(self, sign_in: SignIn) -> Caller:
        return await self.accounts.authenticate(sign_in.tokens.access_token)


def proof(user: str, password: str = SECRET, session: str | None = None) -> AuthData:
    """The answer of somebody who knows a password."""
    return AuthData(
        type="m.login.password",
        session=session,
        identifier=UserIdentifier("m.id.user", user),
        password=password,
    )


@pytest.fixture
async def streams(database: Database) -> AsyncIterator[tuple[UserStreams, TestClock]]:
    clock = TestClock()
    facts = await load_facts(
        database, SystemRandomness(), server_name=SERVER, room_streams=1, user_streams=2
    )
    opened = UserStreams(database, facts.users, clock)
    await opened.take_over()
    running = asyncio.get_running_loop().create_task(opened.run())
    yield opened, clock
    opened.close()
    await running


@pytest.fixture
async def office(
    database: Database, streams: tuple[UserStreams, TestClock]
) -> AsyncIterator[Office]:
    async for one in _office(database, streams, RegistrationMode.OPEN):
        yield one


@pytest.fixture
async def invited_office(
    database: Database, streams: tuple[UserStreams, TestClock]
) -> AsyncIterator[Office]:
    """Where one registers by token."""
    async for one in _office(database, streams, RegistrationMode.TOKEN):
        yield one


async def _office(
    database: Database, streams: tuple[UserStreams, TestClock], mode: RegistrationMode
) -> AsyncIterator[Office]:
    user_streams, clock = streams
    accounts = await open_accounts(
        database,
        user_streams,
        CHEAP,
        server=SERVER,
        registration=mode,
        clock=clock,
        random=SystemRandomness(),
    )
    yield Office(accounts, user_streams, clock)
    accounts.close()
