"""Runs the machine on a server of its own."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest
import uvloop
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.conftest import place_of_kind
from tests.model.machine import People
from tests.world import World, world_at

# Releases of hypothesis differ in how they type it, and all take a factory.
_run_machine: Final[Any] = run_state_machine_as_test


def live(how: settings, kind: str, folder: Path, request: pytest.FixtureRequest) -> None:
    """Many examples against one server with several streams of each kind.

    Hypothesis isn't asynchronous: the event loop runs for each deed, and rests between them.
    """

    async def start(stack: AsyncExitStack) -> World:
        place = await stack.enter_async_context(place_of_kind(kind, folder, request))
        return await stack.enter_async_context(world_at(place, room_streams=4, user_streams=2))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stack = AsyncExitStack()
        world = runner.run(start(stack))
        try:
            _run_machine(lambda: People(world, runner), settings=how)
        finally:
            runner.run(stack.aclose())
