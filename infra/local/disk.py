"""Whether a disk that a run writes to is full.

Invariant: the folder that is named is the one whose disk has the least room: checkpoints, published versions, the
broker's log and the database may each lie on a disk of their own.
"""

import errno
import shutil
from pathlib import Path

NEARLY_FULL_BYTES = 16 * 2**20
"""Postgres and Kafka fail before the last byte is used: a segment of Postgres's log is 16 MiB."""
EXIT_CODE = 74
"""Exit code of a service that met a full disk: EX_IOERR of sysexits.h."""


_BESIDE = ("kafka", "postgres")
"""Data of the local broker and database, next to the folders of runs."""


class DiskFullError(OSError):
    """A disk that a run writes to is full; the text names the folder."""

    def __init__(self, folder: Path, reason: object) -> None:
        super().__init__(errno.ENOSPC, explain(folder))
        self.add_note(f"first noticed as: {reason}")

    def __str__(self) -> str:
        return str(self.strerror)


def is_full(folder: Path) -> bool:
    """Whether a disk is nearly full that the run of this folder writes to."""
    return _free_bytes(fullest(folder)) < NEARLY_FULL_BYTES


def fullest(folder: Path) -> Path:
    """The run's folder, or one within it or next to it whose disk has less room."""
    inside = sorted(path for path in folder.iterdir() if path.is_dir())
    beside = [path for name in _BESIDE if (path := folder.parent / name).is_dir()]
    return min([folder, *inside, *beside], key=_free_bytes)  # of folders on one disk, the run's own


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def is_disk_full(error: OSError) -> bool:
    return error.errno in {errno.ENOSPC, errno.EDQUOT}


def explain(folder: Path) -> str:
    """What to do about the full disk of the run of this folder."""
    full = fullest(folder)
    return (
        f"the disk under {full} is full ({_free_bytes(full) / 2**20:.0f} MiB free): free space there, "
        "or set run.folder to another disk, and start again"
    )
