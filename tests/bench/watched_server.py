"""`posthouse`, on a loop that knows its longest callback by the CPU time of its thread.

    python -m tests.bench.watched_server serve --data DIR …

On SIGUSR1 the milliseconds of the longest one since the last signal, and its name, are written to
`longest_callback` in the data folder. It is a program of its own, so that the server that people
run has nothing of it.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from contextvars import Context
from pathlib import Path
from typing import Any, Final

import uvloop

from posthouse.app import cli
from posthouse.http.protocol import Connection

_Report = tuple[int, str]


class WatchedLoop(uvloop.Loop):
    """Times whatever Python gives the loop to call; what the loop calls by itself is timed where
    it enters our code (`watch_connections`).
    """

    # The ignores below: how a callback's arguments are typed is nothing that this passes on.

    longest: _Report = (0, "nothing")
    report: Path

    def timed(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            start = time.thread_time_ns()
            try:
                return callback(*args)
            finally:
                spent = time.thread_time_ns() - start
                if spent > self.longest[0]:
                    self.longest = spent, _name_of(callback)

        return call

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        return super().call_soon(self.timed(callback), *args, context=context)

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> Any:
        return super().call_soon_threadsafe(self.timed(callback), *args, context=context)

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> Any:
        return super().call_later(delay, self.timed(callback), *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> Any:
        return super().call_at(when, self.timed(callback), *args, context=context)

    def tell(self) -> None:
        spent, name = self.longest
        self.longest = 0, "nothing"
        self.report.write_text(f"{spent / 1e6:.2f} {name}\n")


def watch_connections() -> None:
    """What the loop calls of our protocol when something happens on a socket."""
    for name in ("connection_made", "data_received", "connection_lost", "resume_writing"):
        setattr(Connection, name, _watched(getattr(Connection, name)))


def _watched(method: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, WatchedLoop)
        return loop.timed(method)(*args)

    return call


def _name_of(callback: Callable[..., Any]) -> str:
    task = getattr(callback, "__self__", None)
    if isinstance(task, asyncio.Task):
        return getattr(task.get_coro(), "__qualname__", "a coroutine")
    return getattr(callback, "__qualname__", repr(callback))


def _new_loop() -> WatchedLoop:
    loop = WatchedLoop()
    loop.report = Path(sys.argv[sys.argv.index("--data") + 1]) / "longest_callback"
    loop.add_signal_handler(signal.SIGUSR1, loop.tell)
    return loop


if __name__ == "__main__":
    watch_connections()
    _original: Final = uvloop.new_event_loop
    uvloop.new_event_loop = _new_loop
    cli.main()
