"""The lock on the data folder: one process at a time, which is what stands for a lease here."""

import fcntl
import os
from pathlib import Path


class FolderInUse(Exception):
    """Another process has the data folder open."""

    def __init__(self, folder: Path, holder: str) -> None:
        who = f"process {holder}" if holder else "another process"
        super().__init__(
            f"The data folder {folder} is in use by {who}. "
            "Stop it first, or start with another folder (--data)."
        )
        self.holder = holder


class FolderLock:
    """Holds `lock` in a folder, with this process's id in it, until it is released or dies."""

    def __init__(self, folder: Path) -> None:
        """Raises FolderInUse; never waits."""
        self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            raise FolderInUse(folder, holder) from None
        except BaseException:
            os.close(self._file)
            raise
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        # The file stays: removing it would let a third process lock a file that no one sees.
        os.close(self._file)
