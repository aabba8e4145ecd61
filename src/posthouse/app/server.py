"""From settings to a process that serves, and to its end."""

import asyncio

import uvloop

from posthouse.app import logging, memory, open_files
from posthouse.app.application import application
from posthouse.app.config import Settings
from posthouse.app.stopping import StopSignal
from posthouse.std.faults import Unavailable


def run(settings: Settings) -> None:
    """Serves until told to stop. Raises what an operator can mend before it is ready, and
    Unavailable where the server had to stop by itself.
    """
    logging.configure(settings.log)
    open_files.allow_many()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    stop = StopSignal(asyncio.get_running_loop())
    async with application(settings, stop) as address:
        memory.settle()
        # The one line on standard output: whoever started the process waits for it.
        print(f"Posthouse is ready at {address}", flush=True)
        await stop.wait()
    if stop.fault is not None:
        raise Unavailable(stop.fault)
