"""How a service tells its supervisor that it has loaded and works.

Invariant: the file that the supervisor names holds the moment on the machine's monotonic clock, or does not exist.
"""

import os
import time
from pathlib import Path

READY_FILE = "REWARDSTREAM_READY_FILE"
"""Environment variable with the file's path; without it nobody asks."""


def mark_ready() -> None:
    """Raises OSError."""
    path = os.environ.get(READY_FILE)
    if path:
        Path(path).write_text(repr(time.monotonic()), encoding="utf-8")


def ready_since(path: Path) -> float | None:
    """The moment on time.monotonic(), or None if the service is not ready."""
    try:
        return float(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # it is being written
        return None
