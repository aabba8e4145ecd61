"""How much more memory a piece of work took at its height."""

import gc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

_T = TypeVar("_T")

_SELF = Path("/proc/self")


async def peak_bytes_during(work: Callable[[], Awaitable[_T]]) -> tuple[_T, int]:
    """What `work` gives, and by how many resident bytes this process grew at its peak.

    The kernel's high-water mark is put back before, so that what earlier tests needed hides
    nothing. Linux only, like the rest of the server's tests.
    """
    gc.collect()
    (_SELF / "clear_refs").write_text("5")
    before = _status_bytes("VmRSS")
    result = await work()
    return result, _status_bytes("VmHWM") - before


def _status_bytes(name: str) -> int:
    for line in (_SELF / "status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"/proc/self/status has no {name}")
