"""What is measured: the harness's scenarios, and our own, a module each."""

import shlex
import sys
from collections.abc import Callable, Mapping
from typing import Final

from tests.bench.load import Figures, run_disk, run_scenario
from tests.bench.scenarios import catch_up, longest_callback, online, reconnects, to_device
from tests.bench.servers import BenchServer, NullServer

Scenario = Callable[[BenchServer, float], Figures]
NullScenario = Callable[[NullServer, float], Figures]

_STEADY: Final = {"fanout100": (50, 2.0), "fanout1000": (50, 1.0)}
"""Messages of the steady part, and how many a second."""


def _fanout_options(name: str, scale: float) -> list[str]:
    count, rate = _STEADY[name]
    return ["--steady", f"{max(10, int(count * scale))}@{rate}"]


def _of_harness(name: str) -> Scenario:
    return lambda server, scale: run_scenario(server, name, scale)


def _fanout(name: str) -> Scenario:
    return lambda server, scale: run_scenario(server, name, scale, *_fanout_options(name, scale))


def _cold_start(server: BenchServer, scale: float) -> Figures:
    server.stop()
    command = shlex.join(server.start_command())
    figures = run_scenario(_Stopped(server), "cold_start", scale, "--start-cmd", command)
    server.start()
    return figures


class _Stopped:
    """A server that runs only while the harness starts it."""

    def __init__(self, server: BenchServer) -> None:
        self.url = server.url
        self.state = server.state

    def pids(self) -> list[int]:
        return []


def _disk(server: BenchServer, scale: float) -> Figures:
    if server.engine == "sqlite":
        # Nobody writes for a while: the write-ahead log is folded and cut to nothing.
        where = ["--path", str(server.data), "--settle-cmd", "sleep 12"]
    else:
        size = shlex.join([sys.executable, "-m", "tests.bench.size", server.database_url()])
        where = ["--size-cmd", size, "--settle-cmd", f"{size} --settle"]
    return run_disk(server, max(2000, int(20_000 * scale)), *where)


SCENARIOS: Final[Mapping[str, Scenario]] = {
    # First, while the database is small: a start reads the last hour's transactions.
    "cold_start": _cold_start,
    "send": _of_harness("send"),
    "fanout100": _fanout("fanout100"),
    "fanout1000": _fanout("fanout1000"),
    "mixed": _of_harness("mixed"),
    "initial_sync": _of_harness("initial_sync"),
    "idle": _of_harness("idle"),
    "online": online.measure,
    "disk": _disk,
    "cold_start_after_load": _cold_start,
    "reconnects": reconnects.measure,
    "catch_up": catch_up.measure,
    "to_device": to_device.measure,
    "e2ee": _of_harness("e2ee"),
    "ops": _of_harness("ops"),
    "longest_callback": longest_callback.measure,
}

AGAINST_NULL: Final[Mapping[str, NullScenario]] = {
    "send": lambda server, scale: run_scenario(server, "send", scale),
    "fanout100": lambda server, scale: run_scenario(
        server, "fanout100", scale, *_fanout_options("fanout100", scale)
    ),
    "fanout1000": lambda server, scale: run_scenario(
        server, "fanout1000", scale, *_fanout_options("fanout1000", scale)
    ),
    "mixed": lambda server, scale: run_scenario(server, "mixed", scale),
}
"""Those whose figures are told beside what the harness itself can do."""
