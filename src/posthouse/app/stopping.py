"""How the process learns that it is to stop."""

import asyncio
import os
import signal
from typing import Final

from structlog import get_logger

STOP_S_MAX: Final = 5.0
"""A stop takes no longer; what is not closed by then is left to the next start."""

_SIGNALS: Final = signal.SIGTERM, signal.SIGINT

_log = get_logger("posthouse.app")


class StopSignal:
    """SIGTERM and SIGINT ask to stop; after `STOP_S_MAX` the process ends in any case.

    That is safe at any moment: what was acknowledged is durable, and what was not is repeated by
    the client. A signal that is repeated changes nothing: supervisors and terminals send it to a
    process and to its group.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asked = asyncio.Event()
        self.fault: str | None = None
        """Why the server can't go on, where it wasn't somebody's wish."""
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)

    async def wait(self) -> None:
        await self._asked.wait()

    def ask(self, *, because: str | None = None) -> None:
        """Stops as a signal would; `because` is a fault that the process ends with."""
        if because is not None and self.fault is None:
            self.fault = because
            _log.critical("can't go on", fault=because)
        if not self._asked.is_set():
            self._asked.set()
            self._loop.call_later(STOP_S_MAX, self._end)

    def _on_signal(self, number: int) -> None:
        _log.info("stopping", signal=signal.Signals(number).name)
        self.ask()

    def _end(self) -> None:
        _log.warning("stop took too long: ended without closing")
        os._exit(1)
