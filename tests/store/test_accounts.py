"""Accounts on databases whole and split in three: no statement crosses owners."""

import asyncio

from posthouse.accounts import (
    GLOBAL_DATA,
    AccountSettings,
    AuthData,
    PasswordSettings,
    RegistrationMode,
    SignIn,
    open_accounts,
)
from posthouse.accounts.model import DeviceWish
from posthouse.matrix import ServerName
from posthouse.std.clock import SystemClock, SystemRandomness
from posthouse.storage import Database
from posthouse.streams import UserStreams, load_facts


async def test_an_invited_person_comes_stays_and_goes(every_database: Database) -> None:
    clock, random = SystemClock(), SystemRandomness()
    facts = await load_facts(
        every_database, random, server_name="localhost", room_streams=1, user_streams=2
    )
    streams = UserStreams(every_database, facts.users, clock)
    await streams.take_over()
    async with asyncio.TaskGroup() as group:
        group.create_task(streams.run())
        accounts = await open_accounts(
            every_database,
            streams,
            AccountSettings(passwords=PasswordSettings(memory_kib=8, passes=1)),
            server=ServerName("localhost"),
            registration=RegistrationMode.TOKEN,
            clock=clock,
            random=random,
        )
        await accounts.create_registration_token("welcome", uses_allowed=1)

        made = await accounts.register(
            "ada",
            "correct horse",
            DeviceWish(refreshable=True),
            auth=AuthData(type="m.login.registration_token", token="welcome"),
            inhibit_login=False,
        )
        assert isinstance(made, SignIn)
        ada = made.user_id
        await accounts.authenticate(made.tokens.access_token)
        issued = await accounts.refresh(made.tokens.refresh_token or "")
        caller = await accounts.authenticate(issued.access_token)
        await accounts.profiles.set_field(ada, ada, "displayname", "Ada")
        await accounts.account_data.put(ada, ada, GLOBAL_DATA, "a", b"{}")
        filter_id = await accounts.filters.define(ada, ada, b"{}")
        await accounts.change_password(caller, "a brighter horse", logout_devices=True)
        await accounts.sign_ins.note_seen()

        assert await accounts.device_ids(ada) == [caller.device_id]
        assert len(await accounts.account_data_since(ada, 0, streams.head_of(ada))) == 1
        assert await accounts.existing([ada]) == {ada}
        assert (await accounts.filter_of(ada, filter_id)).event_format == "client"
        assert not await accounts.is_registration_token_valid("welcome")
        await accounts.deactivate(ada, erase=True)
        assert await accounts.device_ids(ada) == []

        accounts.close()
        streams.close()
