"""What the operator's commands do, each on data that no server is running on."""

import asyncio
from datetime import timedelta

from posthouse.app.composition import compose, media_of
from posthouse.app.config import Settings
from posthouse.app.ground import database_of, ground
from posthouse.devices import empty_one_time_keys
from posthouse.matrix import ServerName, UserId, parse_user_id
from posthouse.rooms import RoomCheck
from posthouse.std.clock import SystemClock, SystemRandomness
from posthouse.storage import Owner
from posthouse.streams import begin_generation, check_user_streams, split_streams


def create_user(settings: Settings, localpart: str, password: str, *, is_admin: bool) -> UserId:
    """Makes an account, whatever the mode of registration. Raises refusals of `accounts`."""

    async def work() -> UserId:
        async with ground(settings) as here:
            return await here.accounts.create_user(localpart, password, admin=is_admin)

    return asyncio.run(work())


def reset_password(settings: Settings, user_id: str, password: str, *, keep_devices: bool) -> None:
    """Sets somebody's password; signs their devices out unless they are kept."""

    async def work() -> None:
        async with ground(settings) as here:
            await here.accounts.reset_password(
                parse_user_id(user_id), password, logout_devices=not keep_devices
            )

    asyncio.run(work())


def create_registration_token(settings: Settings, *, uses: int | None, lifetime: timedelta) -> str:
    """Makes a token that lets people register, and returns it."""

    async def work() -> str:
        async with ground(settings) as here:
            token = await here.accounts.create_registration_token(
                uses_allowed=uses,
                expires_ms=here.clock.now_ms() + lifetime // timedelta(milliseconds=1),
            )
            return token.token

    return asyncio.run(work())


def new_generation(settings: Settings) -> None:
    """Makes this copy of the data a new one, so that every client synchronises anew.

    One-time keys are emptied: those of the copy may have been claimed in the time that was lost.
    """

    async def work() -> None:
        async with database_of(settings) as database:
            await begin_generation(database, SystemRandomness())
            async with database.transaction(of=Owner.USER) as tx:
                await empty_one_time_keys(tx)

    asyncio.run(work())


def split(settings: Settings, *, room_streams: int, user_streams: int) -> None:
    """Splits the streams, once every consumer has come to their ends. Raises CannotSplit."""

    async def work() -> None:
        async with ground(settings) as here, compose(here) as services:
            await services.settled()
        async with database_of(settings) as database:
            await split_streams(database, room_streams=room_streams, user_streams=user_streams)

    asyncio.run(work())


def check(settings: Settings) -> list[str]:
    """Sentences about everything that is wrong with the stored data; none where it is sound."""

    async def work() -> list[str]:
        async with database_of(settings) as database:
            users = database.reader(of=Owner.USER)
            rooms = RoomCheck(database.reader(of=Owner.ROOM), users)
            problems = [problem async for problem in check_user_streams(users)]
            problems += [problem async for problem in rooms.problems()]
            media = media_of(
                settings,
                database,
                ServerName(settings.server.name),
                SystemClock(),
                SystemRandomness(),
            )
            return problems + [problem async for problem in media.verify()]

    return asyncio.run(work())
