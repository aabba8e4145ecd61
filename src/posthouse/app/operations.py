"""What the operator's commands do, each on data that no server is running on."""

import asyncio
from datetime import timedelta

from posthouse.app.config import Settings
from posthouse.app.ground import database_of, ground
from posthouse.matrix import UserId, parse_user_id
from posthouse.std.clock import SystemRandomness
from posthouse.streams import begin_generation


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
    """Makes this copy of the data a new one, so that every client synchronises anew."""

    async def work() -> None:
        async with database_of(settings) as database:
            await begin_generation(database, SystemRandomness())

    asyncio.run(work())
