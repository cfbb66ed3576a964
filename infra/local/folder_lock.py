"""Folders that only one stack at a time may use.

Invariant: the kernel holds the lock (flock), so it is released the moment its holder ends, however that happens.
"""

import fcntl
import os
from pathlib import Path
from typing import IO

from infra.local.processes import LocalStackError


class FolderLock:
    """Holds `<folder>.lock` from acquire() to release()."""

    def __init__(self, folder: Path, what: str) -> None:
        self._path = folder.with_name(folder.name + ".lock")
        self._folder = folder
        self._what = what
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Raises LocalStackError if another process holds the folder. Calling it twice is the same as once."""
        if self._file is not None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise LocalStackError(
                f"{self._what} in {self._folder} is used by another stack (process {holder}): "
                "stop that stack (`rewardstream down`, or end its process), or choose another run.folder"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
