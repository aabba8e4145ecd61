"""From settings to a process that serves, and to its end."""

import asyncio

import uvloop

from posthouse.app import logging, memory
from posthouse.app.application import application
from posthouse.app.config import Settings
from posthouse.app.stopping import StopSignal


def run(settings: Settings) -> None:
    """Serves until told to stop. Raises what an operator can mend before it is ready."""
    logging.configure(settings.log)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    stop = StopSignal(asyncio.get_running_loop())
    async with application(settings, stop) as address:
        memory.settle()
        # The one line on standard output: whoever started the process waits for it.
        print(f"Posthouse is ready at {address}", flush=True)
        await stop.wait()
