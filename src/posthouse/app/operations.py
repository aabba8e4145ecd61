"""What the operator's commands do, each on data that no server is running on."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from posthouse.app import logging
from posthouse.app.composition import compose
from posthouse.app.config import Settings
from posthouse.app.ground import database_of, ground, open_media
from posthouse.devices import empty_one_time_keys
from posthouse.matrix import UserId, parse_user_id
from posthouse.reports import Report, read_reports
from posthouse.rooms import RoomCheck
from posthouse.std.clock import SystemClock, SystemRandomness
from posthouse.storage import Owner
from posthouse.streams import begin_generation, check_user_streams, split_streams

T = TypeVar("T")


def create_user(settings: Settings, localpart: str, password: str, *, is_admin: bool) -> UserId:
    """Makes an account, whatever the mode of registration. Raises refusals of `accounts`."""

    async def work() -> UserId:
        async with ground(settings) as here:
            return await here.accounts.create_user(localpart, password, admin=is_admin)

    return _run(settings, work())


def reset_password(settings: Settings, user_id: str, password: str, *, keep_devices: bool) -> None:
    """Sets somebody's password; signs their devices out unless they are kept."""

    async def work() -> None:
        async with ground(settings) as here:
            await here.accounts.reset_password(
                parse_user_id(user_id), password, logout_devices=not keep_devices
            )

    _run(settings, work())


def create_registration_token(settings: Settings, *, uses: int | None, lifetime: timedelta) -> str:
    """Makes a token that lets people register, and returns it."""

    async def work() -> str:
        async with ground(settings) as here:
            token = await here.accounts.create_registration_token(
                uses_allowed=uses,
                expires_ms=here.clock.now_ms() + lifetime // timedelta(milliseconds=1),
            )
            return token.token

    return _run(settings, work())


def reports(settings: Settings, *, lifetime: timedelta, limit: int) -> list[Report]:
    """What people reported lately, the newest first."""

    async def work() -> list[Report]:
        async with database_of(settings) as database:
            after_ms = SystemClock().now_ms() - lifetime // timedelta(milliseconds=1)
            return await read_reports(database, after_ms=after_ms, limit=limit)

    return _run(settings, work())


def new_generation(settings: Settings) -> None:
    """Makes this copy of the data a new one, so that every client synchronises anew.

    One-time keys are emptied: those of the copy may have been claimed in the time that was lost.
    """

    async def work() -> None:
        async with database_of(settings) as database:
            await begin_generation(database, SystemRandomness())
            async with database.transaction(of=Owner.USER) as tx:
                await empty_one_time_keys(tx)

    _run(settings, work())


def split(settings: Settings, *, room_streams: int, user_streams: int) -> None:
    """Splits the streams, once every consumer has come to their ends. Raises CannotSplit."""

    async def work() -> None:
        async with ground(settings) as here, compose(here) as services:
            await services.settled()
        async with database_of(settings) as database:
            await split_streams(database, room_streams=room_streams, user_streams=user_streams)

    _run(settings, work())


def check(settings: Settings) -> list[str]:
    """Asks each domain what is wrong with its data; a sentence each, none where all is well."""

    async def work() -> list[str]:
        async with database_of(settings) as database:
            users = database.reader(of=Owner.USER)
            rooms = RoomCheck(database.reader(of=Owner.ROOM), users)
            problems = [problem async for problem in check_user_streams(users)]
            problems += [problem async for problem in rooms.problems()]
            media = open_media(settings, database, SystemClock(), SystemRandomness())
            try:
                return problems + [problem async for problem in media.verify()]
            finally:
                media.close()

    return _run(settings, work())


def _run(settings: Settings, work: Coroutine[Any, Any, T]) -> T:
    logging.configure(settings.log)
    return asyncio.run(work)
