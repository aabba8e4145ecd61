"""What is to be reached (issue 3, §5), and how each figure is read out of what was measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.bench.load import Figures

Results = Mapping[str, Mapping[str, Figures]]
"""Server (`sqlite`, `postgresql`, `null`) and scenario to what was measured."""

Read = Callable[[Figures, Figures], float | None]
"""From a scenario's figures of ours and of the null server's."""


@dataclass(frozen=True, slots=True)
class Target:
    """One line of the table."""

    figure: str
    scenario: str
    sqlite: float | None
    """The bound on this engine; None where the figure is only told."""
    postgresql: float | None
    read: Read
    at_least: bool = False
    """Whether the bound is one from below."""

    def bound(self, engine: str) -> float | None:
        return self.sqlite if engine == "sqlite" else self.postgresql

    def value(self, results: Results, engine: str) -> float | None:
        """None where the scenario did not run, or not on all that it compares."""
        ours = results.get(engine, {}).get(self.scenario)
        if ours is None:
            return None
        return self.read(ours, results.get("null", {}).get(self.scenario, {}))

    def is_reached(self, value: float, engine: str) -> bool | None:
        bound = self.bound(engine)
        if bound is None:
            return None
        return value >= bound if self.at_least else value <= bound


def _at(*path: str) -> Read:
    def read(ours: Figures, null: Figures) -> float | None:
        return _value(ours, path)

    return read


def _against_null(*path: str) -> Read:
    def read(ours: Figures, null: Figures) -> float | None:
        mine, best = _value(ours, path), _value(null, path)
        return mine / best if mine is not None and best else None

    return read


def _median_cpu(ours: Figures, null: Figures) -> float | None:
    used = sorted(run["cpu_s"] for run in ours["runs"])
    return float(used[len(used) // 2])


def _cpu_at_start(ours: Figures, null: Figures) -> float | None:
    return float(min(run["cpu_s"] for run in ours["runs"]))


def _value(figures: Figures, path: tuple[str, ...]) -> float | None:
    found: Any = figures
    for key in path:
        if not isinstance(found, dict) or key not in found:
            return None
        found = found[key]
    return None if found is None else float(found)


TARGETS: Final = (
    Target("send, 32 connections: CPU s per 1,000", "send", 0.15, 0.20,
           _at("c32", "cpu_s_per_1000")),
    Target("send, 1 connection: CPU s per 1,000", "send", None, None,
           _at("c1", "cpu_s_per_1000")),
    Target("send, 32 connections: messages/s", "send", None, None,
           _at("c32", "events_per_s")),
    Target("send, 32 connections: share of the null server's rate", "send", None, None,
           _against_null("c32", "events_per_s")),
    Target("fanout1000, burst: CPU s per 1,000 deliveries", "fanout1000", 0.083, 0.083,
           _at("burst", "cpu_s_per_1000_deliveries")),
    Target("fanout100, burst: CPU s per 1,000 deliveries", "fanout100", None, None,
           _at("burst", "cpu_s_per_1000_deliveries")),
    Target("fanout100, steady: p95 delivery, times the null server's", "fanout100", 5, 5,
           _against_null("steady", "ms", "p95")),
    Target("fanout100, steady: p95 delivery, ms", "fanout100", None, None,
           _at("steady", "ms", "p95")),
    Target("fanout1000, steady: p95 delivery, times the null server's", "fanout1000", 5, 5,
           _against_null("steady", "ms", "p95")),
    Target("fanout1000, steady: p95 delivery, ms", "fanout1000", None, None,
           _at("steady", "ms", "p95")),
    Target("fanout100, steady and burst: deliveries lost", "fanout100", 0, 0,
           lambda ours, null: float(ours["steady"]["lost"] + ours["burst"]["lost"])),
    Target("fanout1000, steady and burst: deliveries lost", "fanout1000", 0, 0,
           lambda ours, null: float(ours["steady"]["lost"] + ours["burst"]["lost"])),
    Target("commit time under fan-out to 1,000, burst: p50 ms", "fanout1000", None, None,
           _at("burst", "send_ms", "p50")),
    Target("commit time under fan-out to 1,000, burst: p95 ms", "fanout1000", None, None,
           _at("burst", "send_ms", "p95")),
    Target("mixed, 200 users: share of the null server's rate", "mixed", 0.25, 0.20,
           _against_null("max_messages_per_s"), at_least=True),
    Target("mixed, 200 users: messages/s", "mixed", None, None, _at("max_messages_per_s")),
    Target("initial_sync, 200 rooms: CPU s", "initial_sync", 0.2, 0.4, _median_cpu),
    Target("idle: KiB per connection", "idle", 6, 6, _at("kib_per_connection")),
    Target("a person online with 50 rooms: KiB", "online", 32, 32, _at("kib_per_person")),
    Target("disk: bytes per message", "disk", 1500, 2200, _at("bytes_per_message")),
    Target("cold start: CPU s", "cold_start", 0.6, 0.6, _cpu_at_start),
    Target("cold start: resident MB", "cold_start", 80, 80,
           lambda ours, null: float(ours["rss_mib"]) * 1.048576),
    Target("cold start after all of that: CPU s", "cold_start_after_load", None, None,
           _cpu_at_start),
    Target("cold start after all of that: resident MB", "cold_start_after_load", None, None,
           lambda ours, null: float(ours["rss_mib"]) * 1.048576),
    Target("10,000 reconnects in 10 s: CPU s", "reconnects", None, None, _at("cpu_s")),
    Target("10,000 reconnects in 10 s: refused or failed", "reconnects", 0, 0, _at("failed")),
    Target("10,000 reconnects in 10 s: p95 of a first answer, ms", "reconnects", None, None,
           _at("ms", "p95")),
    Target("catch-up after a week in 200 rooms: CPU s", "catch_up", None, None, _at("cpu_s")),
    Target("catch-up after a week in 200 rooms: KB", "catch_up", None, None, _at("kilobytes")),
    Target("5,000 pending to-device messages: CPU s to fetch all", "to_device", None, None,
           _at("cpu_s")),
    Target("5,000 pending to-device messages: not fetched, or twice", "to_device", 0, 0,
           _at("wrong")),
    Target("e2ee, upload of 50 keys: CPU ms", "e2ee", None, None,
           _at("upload_50_keys", "cpu_ms_per_op")),
    Target("e2ee, query of 10 people: CPU ms", "e2ee", None, None,
           _at("query_10_users", "cpu_ms_per_op")),
    Target("e2ee, claim of 10 keys: CPU ms", "e2ee", None, None,
           _at("claim_10_keys", "cpu_ms_per_op")),
    Target("e2ee, to-device to 10 devices: CPU ms", "e2ee", None, None,
           _at("to_device_10", "cpu_ms_per_op")),
    Target("ops, register: CPU ms", "ops", None, None, _at("register", "cpu_ms_per_op")),
    Target("ops, login: CPU ms", "ops", None, None, _at("login", "cpu_ms_per_op")),
    Target("ops, create a room: CPU ms", "ops", None, None, _at("create_room", "cpu_ms_per_op")),
    Target("ops, join: CPU ms", "ops", None, None, _at("join", "cpu_ms_per_op")),
    *(
        Target(f"longest callback, {load}: CPU ms", "longest_callback", 50, 50, _at(load))
        for load in ("send", "fanout100", "fanout1000", "mixed", "idle", "initial_sync", "e2ee",
                     "ops", "reconnects", "catch_up", "to_device")
    ),
)  # fmt: skip


def table(results: Results, engines: tuple[str, ...]) -> str:
    """The figures that were measured, beside what was to be reached."""
    width = max(len(target.figure) for target in TARGETS)
    lines = [f"{'':{width}}" + "".join(f"  {engine:>29}" for engine in engines)]
    for target in TARGETS:
        cells = [_cell(target, results, engine) for engine in engines]
        if any(cells):
            lines.append(f"{target.figure:{width}}" + "".join(f"  {cell:>29}" for cell in cells))
    return "\n".join(lines)


def _cell(target: Target, results: Results, engine: str) -> str:
    value = target.value(results, engine)
    if value is None:
        return ""
    bound, is_reached = target.bound(engine), target.is_reached(value, engine)
    if bound is None or is_reached is None:
        return _number(value) + " " * 19
    sign = "≥" if target.at_least else "≤"
    word = "reached" if is_reached else "MISSED"
    return f"{_number(value)} {sign} {_number(bound):<7} {word:<7}"


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value else "0"
