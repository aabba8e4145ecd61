"""Measures the server against its targets.

    python -m tests.bench                                     everything, on both engines
    python -m tests.bench --scenario send,idle --engine sqlite --scale 0.3

CPU seconds and ratios to the null server of the same run hold on a busy machine; rates and
latencies hold on a quiet one. docs/performance.md keeps what was found.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from tests.bench.load import Figures, HarnessMissing, check_harness
from tests.bench.scenarios import AGAINST_NULL, SCENARIOS
from tests.bench.servers import ENGINES, Engine, bench_server, null_server
from tests.bench.targets import table

T = TypeVar("T")


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    names = [name for name in options.scenario.split(",") if name]
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        print(f"There is no scenario {', '.join(unknown)}. There are: {', '.join(SCENARIOS)}.")
        return 2
    try:
        check_harness()
    except HarnessMissing as missing:
        print(missing)
        return 2
    engines = ENGINES if options.engine == "both" else (options.engine,)
    run = Run(options.scale, Path(options.json) if options.json else None)
    with tempfile.TemporaryDirectory(prefix="posthouse-bench-") as folder:
        run.against_null(Path(folder), [name for name in names if name in AGAINST_NULL])
        for engine in engines:
            run.on_engine(engine, Path(folder), names)
    print(table(run.results, engines))
    for failure in run.failures:
        print(failure)
    return 1 if run.failures else 0


class Run:
    """Scenario by scenario, server by server; one that fails is told and leaves the others alone."""

    def __init__(self, scale: float, report: Path | None) -> None:
        self.results: dict[str, dict[str, Figures]] = {}
        self.failures: list[str] = []
        self._scale = scale
        self._report = report

    def against_null(self, folder: Path, names: Sequence[str]) -> None:
        if names:
            with null_server(folder) as server:
                for name in names:
                    self._measure("null", name, AGAINST_NULL[name], server)

    def on_engine(self, engine: Engine, folder: Path, names: Sequence[str]) -> None:
        with bench_server(engine, folder) as server:
            for name in names:
                # A fresh process each time: no scenario pays for the heap of another.
                server.start()
                self._measure(engine, name, SCENARIOS[name], server)
                server.stop()

    def _measure(
        self, where: str, name: str, scenario: Callable[[T, float], Figures], server: T
    ) -> None:
        start = time.monotonic()
        print(f"{name} on {where} …", end=" ", file=sys.stderr, flush=True)
        try:
            self.results.setdefault(where, {})[name] = scenario(server, self._scale)
        except Exception as error:
            self.failures.append(f"{name} on {where} failed: {type(error).__name__}: {error}")
            print("failed", file=sys.stderr)
            return
        print(f"{time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
        if self._report is not None:  # after each: a run that is ended early keeps what it has
            self._report.write_text(json.dumps(self.results, indent=1))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--scenario",
        default=",".join(SCENARIOS),
        help="comma separated; default, all: " + ", ".join(SCENARIOS),
    )
    parser.add_argument("--engine", choices=[*ENGINES, "both"], default="both")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="durations and counts; members stay as they are"
    )
    parser.add_argument("--json", help="a file for everything that was measured")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
