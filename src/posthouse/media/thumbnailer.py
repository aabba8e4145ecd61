"""Thumbnails made in a process of their own, a few at a time, everybody in turn.

(1) Pictures of strangers are never decoded in the server's process: see `thumbnail_process`.
(2) At most `processes` are made at the same time, and each person in turn gets one made: whoever
    asks for a hundred makes nobody else wait for a hundred.
(3) What waits has a bound, for each person and for all.
(4) The process is started by the first picture and ended when none came for a while: a server that
    makes no thumbnails pays nothing.
"""

import asyncio
import contextlib
import enum
import json
import os
import signal
import socket
import subprocess
import sys
from collections import OrderedDict, deque
from collections.abc import Hashable
from pathlib import Path
from typing import Final

import structlog

from posthouse.matrix import LimitExceeded
from posthouse.media.settings import ThumbnailSettings
from posthouse.media.sizes import Method, Variant
from posthouse.std.faults import Unavailable

_PROGRAM: Final = Path(__file__).with_name("thumbnail_process.py")

_IDLE_S: Final = 300.0
_WAITING_MAX: Final = 1_000
_WAITING_OF_ONE_MAX: Final = 100
_OUTPUT_BYTES_MAX: Final = 32 * 1024 * 1024
_SECONDS_PER_CPU_SECOND: Final = 3
"""On a busy machine a second of CPU takes longer; time is bounded nevertheless."""

_log = structlog.get_logger(__name__)


class Outcome(enum.IntEnum):
    """What became of a picture; the numbers are those of `thumbnail_process`."""

    MADE = 0
    UNREADABLE = 1
    TOO_LARGE = 2
    STOPPED = 3
    """It took more time, memory or frames than it may, or broke its decoder."""


class Thumbnailer:
    """Makes thumbnails. All state is the event loop's."""

    def __init__(self, settings: ThumbnailSettings) -> None:
        self._settings = settings
        self._waiting: OrderedDict[Hashable, deque[_Job]] = OrderedDict()
        self._waiting_count = 0
        self._running: dict[int, _Job] = {}
        self._numbers = 0
        self._process: _Process | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._closed = False

    def make(
        self, who: Hashable, source: Path, target: Path, variant: Variant, *, moving: bool
    ) -> "asyncio.Future[Outcome]":
        """Writes a thumbnail of `source` to `target`, whose content is good only if it is MADE.

        Raises LimitExceeded where `who` has too many waiting, Unavailable where all have, and
        where the process can't be had; the future fails as Unavailable where the process ends.
        """
        job = _Job(source, target, variant, moving, asyncio.get_running_loop().create_future())
        self._judge_waiting(who)
        self._start()
        self._waiting.setdefault(who, deque()).append(job)
        self._waiting_count += 1
        self._hand_over()
        return job.outcome

    def close(self) -> None:
        """Ends the process. What is still waiting fails as Unavailable."""
        self._closed = True
        self._end()

    def _judge_waiting(self, who: Hashable) -> None:
        if len(self._waiting.get(who, ())) >= _WAITING_OF_ONE_MAX:
            raise LimitExceeded(retry_after_ms=2_000)
        if self._waiting_count >= _WAITING_MAX:
            raise Unavailable("too many thumbnails are waiting")

    def _start(self) -> None:
        """Starts the process, unless it runs; that takes the loop a few milliseconds."""
        if self._closed:
            raise Unavailable("stopping")
        if self._process is None:
            try:
                self._process = _Process(self, asyncio.get_running_loop())
            except OSError as error:
                raise Unavailable(f"thumbnails: {error.strerror}") from error

    def _hand_over(self) -> None:
        """Gives the process what it has room for, one of each person in turn (2)."""
        while self._process is not None and len(self._running) < self._settings.processes:
            job = self._next()
            if job is None:
                break
            self._numbers += 1
            self._running[self._numbers] = job
            self._process.send(self._line(self._numbers, job))
        self._watch_idleness()

    def _next(self) -> "_Job | None":
        while self._waiting:
            who, jobs = self._waiting.popitem(last=False)
            job = jobs.popleft()
            self._waiting_count -= 1
            if jobs:
                self._waiting[who] = jobs
            if not job.outcome.done():  # nobody waits for one that was cancelled
                return job
        return None

    def _line(self, number: int, job: "_Job") -> bytes:
        settings, variant = self._settings, job.variant
        order = {
            "number": number,
            "source": str(job.source),
            "target": str(job.target),
            "width": variant.width,
            "height": variant.height,
            "crop": variant.method is Method.CROP,
            "animated": job.moving,
            "pixels_max": settings.pixels_max,
            "frames_max": settings.frames_max,
            "memory_bytes_max": settings.memory_bytes_max,
            "output_bytes_max": _OUTPUT_BYTES_MAX,
            "cpu_seconds_max": settings.cpu_seconds_max,
            "seconds_max": settings.cpu_seconds_max * _SECONDS_PER_CPU_SECOND,
        }
        return json.dumps(order).encode() + b"\n"

    def _finished(self, number: int, outcome: Outcome) -> None:
        job = self._running.pop(number)
        if not job.outcome.done():
            job.outcome.set_result(outcome)
        self._hand_over()

    def _end(self) -> None:
        """Ends the process, or finds that it ended: what it had may be tried again."""
        if self._process is None:
            return
        self._process.end()
        self._process = None
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        lost = [*self._running.values(), *(job for jobs in self._waiting.values() for job in jobs)]
        self._running.clear()
        self._waiting.clear()
        self._waiting_count = 0
        for job in lost:
            if not job.outcome.done():
                job.outcome.set_exception(Unavailable("the process that makes thumbnails ended"))
        if lost:
            _log.warning("media.thumbnail_process_ended", lost=len(lost))

    def _watch_idleness(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._process is not None and not self._running:
            self._idle = asyncio.get_running_loop().call_later(_IDLE_S, self._end)


class _Job:
    """A thumbnail that somebody waits for."""

    __slots__ = ("moving", "outcome", "source", "target", "variant")

    def __init__(
        self,
        source: Path,
        target: Path,
        variant: Variant,
        moving: bool,
        outcome: "asyncio.Future[Outcome]",
    ) -> None:
        self.source = source
        self.target = target
        self.variant = variant
        self.moving = moving
        self.outcome = outcome


class _Process:
    """One `thumbnail_process` and the socket to it.

    Not asyncio's own subprocess: that needs the loop to go on until the process has ended, and
    this one is ended as the server stops.
    """

    def __init__(self, owner: Thumbnailer, loop: asyncio.AbstractEventLoop) -> None:
        """Starts it. Raises OSError where it can't be."""
        self._owner = owner
        self._loop = loop
        self._rest = b""
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)
        with theirs:
            try:
                self._process: subprocess.Popen[bytes] = subprocess.Popen(
                    # Isolated: neither the environment nor this folder says what is imported.
                    [sys.executable, "-I", str(_PROGRAM)],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.DEVNULL,
                    env={},
                    start_new_session=True,  # a signal to the server's group is not for it
                )
            except OSError:
                self._socket.close()
                raise
        loop.add_reader(self._socket, self._read)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, line: bytes) -> None:
        """Gives it a job. The few that are out at a time always find room in the socket."""
        with contextlib.suppress(ConnectionError):  # it has just ended; the reader is told
            self._socket.sendall(line)

    def end(self) -> None:
        """Ends it with all that it is making: it leads the group of its children."""
        self._loop.remove_reader(self._socket)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._socket.close()

    def _read(self) -> None:
        try:
            data = self._socket.recv(65_536)
        except ConnectionError:
            data = b""
        if not data:
            self._owner._end()
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            report = json.loads(line)
            self._owner._finished(report["number"], Outcome(report["outcome"]))
