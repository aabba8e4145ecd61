"""A real `posthouse serve` process for tests: started, asked, killed, started again.

The process gets a data folder and a port of its own; both outlive a restart, so that clients go
on with the address and the tokens they have.
"""

import os
import random
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_READY: Final = "Posthouse is ready at "
_START_S_MAX: Final = 30.0
_STOP_S_MAX: Final = 10.0

_REPOSITORY: Final = Path(__file__).resolve().parent.parent

TEST_SETTINGS: Final[Mapping[str, str]] = {
    "registration.mode": "open",
    "limits.enabled": "false",
}
"""What every test's server is started with: anybody may sign up, nobody is slowed down."""


class ServerDidNotStart(AssertionError):
    """The process ended, or said nothing, before it was ready; carries what it wrote."""


class ServerProcess:
    """One server on one data folder. `url` and `port` stay the same over restarts."""

    def __init__(
        self,
        data: Path,
        *,
        storage_url: str | None = None,
        settings: Mapping[str, str] | None = None,
        open_files: int | None = None,
        log_folder: Path | None = None,
    ) -> None:
        """Names what to start. `storage_url` is a PostgreSQL database; SQLite where it is None.
        `open_files` is the limit that the process starts with, as a shell would set it.
        """
        self.data = data
        self._open_files = open_files
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = {**TEST_SETTINGS, **(settings or {})}
        if storage_url is not None:
            self.settings["storage.url"] = storage_url
        self._log = (log_folder or data.parent) / f"{data.name}-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; an AssertionError where nothing runs."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def start(self) -> None:
        """Returns when the server has said that it is ready. Raises ServerDidNotStart."""
        assert self._process is None, "the server is running already"
        written_before = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.command("serve"), "--listen", f"127.0.0.1:{self.port}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(),
                start_new_session=True,
                preexec_fn=self._limit_files,
            )
        self._wait_until_ready(written_before)

    def _limit_files(self) -> None:
        if self._open_files is not None:
            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (self._open_files, hard))

    def command(self, *words: str) -> list[str]:
        """The command line `posthouse WORDS` on this server's data and settings."""
        line = [sys.executable, "-c", "from posthouse.app.cli import main; main()", *words]
        line += ["--data", str(self.data)]
        for key, value in self.settings.items():
            line += ["--set", f"{key}={value}"]
        return line

    def runs(self, *words: str) -> str:
        """What `posthouse WORDS` writes, on data that no server runs on; it must succeed."""
        done = subprocess.run(
            self.command(*words), env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (
            f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
        return done.stdout

    def stop(self) -> None:
        """Asks the server to end, with SIGTERM, and expects that it does so in good order."""
        code = self._end(signal.SIGTERM)
        assert code == 0, f"the server ended with {code}:\n{self.log_tail()}"

    def kill(self) -> None:
        """Ends the server at once, as a crash would (`kill -9`)."""
        self._end(signal.SIGKILL)

    def wait(self) -> int:
        """The exit code of a server that is about to end by itself."""
        assert self._process is not None, "the server is not running"
        process, self._process = self._process, None
        return process.wait(timeout=_STOP_S_MAX)

    def start_again(self) -> None:
        """A start on the same data, port and settings, after `stop` or `kill`."""
        self.start()

    def log_text(self) -> str:
        """All that the server has written since it was first started."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def log_tail(self, characters: int = 4_000) -> str:
        return self.log_text()[-characters:]

    def close(self) -> None:
        """Leaves no process behind, however the test ended."""
        if self._process is not None:
            self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> int:
        assert self._process is not None, "the server is not running"
        process, self._process = self._process, None
        process.send_signal(how)
        try:
            return process.wait(timeout=_STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the server did not end:\n{self.log_tail()}") from None

    def _wait_until_ready(self, written_before: int) -> None:
        """The line is in the log when the port answers; the process may also end before."""
        assert self._process is not None
        deadline = time.monotonic() + _START_S_MAX
        while time.monotonic() < deadline:
            with self._log.open("rb") as log:
                log.seek(written_before)
                if _READY.encode() in log.read():
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        self.close()
        raise ServerDidNotStart(f"no line {_READY!r}:\n{self.log_tail()}")


@contextmanager
def running_server(
    data: Path,
    *,
    storage_url: str | None = None,
    settings: Mapping[str, str] | None = None,
    open_files: int | None = None,
    log_folder: Path | None = None,
) -> Iterator[ServerProcess]:
    """A server that runs from entry to exit, where the test doesn't end it itself."""
    server = ServerProcess(data, storage_url=storage_url, settings=settings, open_files=open_files)
    try:
        server.start()
        yield server
    finally:
        server.close()


def environment() -> dict[str, str]:
    """The process's environment: this checkout's sources first."""
    paths = [str(_REPOSITORY / "src"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def free_port() -> int:
    """A port below the range that outgoing connections are dealt, so that none takes it meanwhile."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
