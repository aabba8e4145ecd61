"""The servers that are measured: Posthouse on each engine, and one that stores and checks nothing."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, Protocol

from tests.bench.load import HARNESS
from tests.postgresql_server import PostgresqlProcess, connected
from tests.server_process import ServerProcess, free_port

Engine = Literal["sqlite", "postgresql"]
ENGINES: Final[tuple[Engine, ...]] = ("sqlite", "postgresql")

_SETTINGS: Final = {
    # Set-up makes thousands of accounts; no figure of ours is that of a password's hash.
    "accounts.passwords.memory_kib": "64",
    "accounts.passwords.passes": "1",
    "log.level": "warning",
}


class Target(Protocol):
    """What the harness is pointed at."""

    @property
    def url(self) -> str: ...

    @property
    def state(self) -> Path:
        """Where the harness keeps the accounts and rooms that it made there."""
        ...

    def pids(self) -> list[int]:
        """The processes whose CPU and memory count; their children are counted with them."""
        ...


class NullServer:
    """The harness's own ceiling: what a figure would be if serving cost nothing."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.state = folder / "null.json"
        program = HARNESS / "nullserver.py"
        self._process = subprocess.Popen([sys.executable, program, str(self._port)])
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port)).close()
                return
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    self.close()
                    raise
                time.sleep(0.02)

    def pids(self) -> list[int]:
        return [self._process.pid]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


class BenchServer:
    """Posthouse in a process of its own, on a data folder that outlives its restarts."""

    def __init__(self, engine: Engine, folder: Path, database: PostgresqlProcess | None) -> None:
        self.engine = engine
        self.database = database
        self.state = folder / f"{engine}.json"
        self._process = _WatchableProcess(
            folder / engine,
            storage_url=database.url(_DATABASE) if database else None,
            settings=_SETTINGS,
        )
        self.url = self._process.url
        self.data = self._process.data

    def start(self, *, watched: bool = False) -> None:
        """`watched`: its loop tells the longest callback, which costs some CPU."""
        self._process.watched = watched
        self._process.start()
        if watched:
            self.longest_callback()  # what the start took is not asked for

    def stop(self) -> None:
        self._process.stop()

    def restart(self, *, watched: bool | None = None) -> None:
        """A new process on the same data; `watched` as it was, unless it is said."""
        self.stop()
        self.start(watched=self._process.watched if watched is None else watched)

    def close(self) -> None:
        self._process.close()

    def pid(self) -> int:
        return self._process.pid

    def pids(self) -> list[int]:
        return [self._process.pid, *self._database_pids()]

    def _database_pids(self) -> list[int]:
        return self.database.pids()[:1] if self.database else []

    def database_url(self) -> str:
        assert self.database is not None, "SQLite has no address"
        return self.database.url(_DATABASE)

    def start_command(self) -> list[str]:
        """What starts it by hand."""
        listen = self.url.removeprefix("http://")
        return [*self._process.command("serve"), "--listen", listen]

    def longest_callback(self) -> tuple[float, str]:
        """Milliseconds, and what it was, since the last time this was asked. Only where it was
        started `watched`.
        """
        report = self.data / "longest_callback"
        report.unlink(missing_ok=True)
        self._process.signal(signal.SIGUSR1)
        deadline = time.monotonic() + 10
        while not (report.exists() and (text := report.read_text()).endswith("\n")):
            if time.monotonic() > deadline:
                raise RuntimeError("the watched server doesn't tell its longest callback")
            time.sleep(0.05)
        spent, _, name = text.strip().partition(" ")
        return float(spent), name


class _WatchableProcess(ServerProcess):
    watched = False

    def command(self, *words: str) -> list[str]:
        """As where only the server's own lock file is installed: a tool brings `rich`, and then
        the logging library imports it, a third of a start.
        """
        line = super().command(*words)
        if self.watched:
            line[1:3] = ["-m", "tests.bench.watched_server"]
        else:
            line[2] = "import sys; sys.modules['rich'] = None; " + line[2]
        return line

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "the server is not running"
        self._process.send_signal(number)


@contextmanager
def null_server(folder: Path) -> Iterator[NullServer]:
    server = NullServer(folder)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def bench_server(engine: Engine, folder: Path) -> Iterator[BenchServer]:
    """Posthouse, not yet started; PostgreSQL with fsync beside it where that is the engine."""
    database = None
    if engine == "postgresql":
        database = PostgresqlProcess(fsync=True)
        database.start()
        asyncio.run(_create_database(database))
    server = BenchServer(engine, folder, database)
    try:
        yield server
    finally:
        server.close()
        if database is not None:
            database.remove()


async def _create_database(server: PostgresqlProcess) -> None:
    async with connected(server.url()) as connection:
        await connection.execute(f"CREATE DATABASE {_DATABASE} TEMPLATE template0")


_DATABASE: Final = "bench"
