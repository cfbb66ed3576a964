"""Whether the disk under a folder is full."""

import errno
import shutil
from pathlib import Path

NEARLY_FULL_BYTES = 16 * 2**20
"""Postgres and Kafka fail before the last byte is used: a segment of Postgres's log is 16 MiB."""
EXIT_CODE = 74
"""Exit code of a service that met a full disk: EX_IOERR of sysexits.h."""


class DiskFullError(OSError):
    """The disk under a folder is full; the text names the folder."""

    def __init__(self, folder: Path, reason: object) -> None:
        super().__init__(errno.ENOSPC, explain(folder))
        self.add_note(f"first noticed as: {reason}")

    def __str__(self) -> str:
        return str(self.strerror)


def is_full(folder: Path) -> bool:
    return shutil.disk_usage(folder).free < NEARLY_FULL_BYTES


def is_disk_full(error: OSError) -> bool:
    return error.errno in {errno.ENOSPC, errno.EDQUOT}


def explain(folder: Path) -> str:
    free = shutil.disk_usage(folder).free / 2**20
    return (
        f"the disk under {folder} is full ({free:.0f} MiB free): free space there, "
        "or set run.folder to another disk, and start again"
    )
