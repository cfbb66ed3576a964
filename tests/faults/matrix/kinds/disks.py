"""Disks that fill under the run: small file systems of their own, which a filler takes whole."""

import contextlib
import errno
import os
from pathlib import Path

from faults.matrix.kinds.base import FaultKind
from faults.matrix.run import MatrixRun

_BLOCK = 1 << 20


def fill(folder: Path) -> Path:
    """Takes all that is free; returns the file that took it."""
    filler = folder / ".filler"
    with filler.open("wb") as file:
        size = 0
        for step in (64 * _BLOCK, _BLOCK, 4096):
            with contextlib.suppress(OSError):
                while True:
                    os.posix_fallocate(file.fileno(), size, step)
                    size += step
    if not size:
        raise OSError(errno.ENOSPC, f"nothing is free under {folder}")
    return filler


class FullDisk(FaultKind):
    lasts = (8, 15)
    rests = 75.0
    part: str

    def inject(self, run: MatrixRun) -> None:
        self.filler = fill(run.disks[self.part])

    def heal(self, run: MatrixRun) -> None:
        self.filler.unlink(missing_ok=True)


def _of(part: str, target: str, *, ends: bool) -> type[FaultKind]:
    what = f"the disk under {part} is full" + ("; the run ends and is started again" if ends else "")
    values = {"name": f"full-disk-{part}", "what": what, "target": target, "part": part, "ends_run": ends}
    return type(f"FullDisk{part}", (FullDisk,), values)


KINDS = [
    _of("checkpoints", "learner", ends=True),
    _of("versions", "learner", ends=True),
    _of("broker", "broker", ends=False),
]
