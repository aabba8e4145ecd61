"""The load harness, which lies beside the checkout: run as a program, its parts taken for our own
scenarios.
"""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.server_process import environment

if TYPE_CHECKING:
    from tests.bench.servers import Target

HARNESS: Final = Path(__file__).resolve().parents[2].parent / "shared" / "bench"
"""`../shared/bench`, seen from the checkout."""

Figures = dict[str, Any]
"""What one scenario measured on one server, as the harness says it."""


class HarnessMissing(Exception):
    """There is nothing at `HARNESS`."""

    def __init__(self) -> None:
        super().__init__(
            f"The load harness is not at {HARNESS}: put it beside the checkout, or link it there."
        )


def check_harness() -> None:
    """Raises HarnessMissing."""
    if not (HARNESS / "scenarios.py").exists():
        raise HarnessMissing()


def harness() -> Any:
    """The harness's module of tools: connections, accounts, rooms, CPU and memory."""
    if str(HARNESS) not in sys.path:
        sys.path.insert(0, str(HARNESS))
    return importlib.import_module("harness")


def run_scenario(server: "Target", name: str, scale: float, *options: str) -> Figures:
    """One scenario of the harness's own."""
    report = server.state.with_suffix(".report")
    _run(
        HARNESS,
        server,
        *("--scenario", name, "--scale", str(scale), "--state", str(server.state)),
        *("--json", str(report), "--label", "posthouse"),
        *options,
    )
    figures: Figures = json.loads(report.read_bytes())["posthouse"]["scenarios"][name]
    return figures


def run_disk(server: "Target", messages: int, *options: str) -> Figures:
    """The harness's bytes on disk per message."""
    report = server.state.with_suffix(".disk")
    _run(
        HARNESS / "disk_per_message.py",
        server,
        *("--messages", str(messages), "--state", str(server.state), "--json", str(report)),
        *options,
    )
    figures: Figures = json.loads(report.read_bytes())
    return figures


def _run(program: Path, server: "Target", *options: str) -> None:
    pids = ",".join(map(str, server.pids()))
    done = subprocess.run(
        [sys.executable, program, "--url", server.url, "--pids", pids, *options],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    if done.returncode != 0:
        raise RuntimeError(f"the harness failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
