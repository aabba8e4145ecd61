"""The longest callback on the loop under each load, by the CPU time of its thread.

On a server that watches itself (`watched_server`), so its other figures don't count.
"""

from collections.abc import Callable

from tests.bench.load import Figures, run_scenario
from tests.bench.scenarios import catch_up, reconnects, to_device
from tests.bench.servers import BenchServer

_SCALE = 0.3
"""The longest one shows early; room and member counts stay as they are where they count."""


def measure(server: BenchServer, scale: float) -> Figures:
    loads: dict[str, Callable[[BenchServer, float], Figures]] = {
        "send": lambda server, scale: run_scenario(server, "send", scale),
        "fanout100": lambda server, scale: run_scenario(server, "fanout100", scale),
        "fanout1000": lambda server, scale: run_scenario(server, "fanout1000", scale),
        "mixed": lambda server, scale: run_scenario(server, "mixed", scale),
        "idle": lambda server, scale: run_scenario(server, "idle", scale),
        "initial_sync": lambda server, scale: run_scenario(server, "initial_sync", 1.0),
        "e2ee": lambda server, scale: run_scenario(server, "e2ee", scale),
        "ops": lambda server, scale: run_scenario(server, "ops", scale),
        "reconnects": reconnects.measure,
        "catch_up": catch_up.measure,
        "to_device": to_device.measure,
    }
    figures: Figures = {}
    for name, load in loads.items():
        server.restart(watched=True)
        load(server, min(scale, _SCALE))
        figures[name], figures[f"{name} in"] = server.longest_callback()
    return figures
