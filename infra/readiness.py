"""How a service tells that it has loaded and works: its own endpoint (/readyz), and its supervisor, which may watch a
file.

Invariant: the file that the supervisor names holds the moment on the machine's monotonic clock, or does not exist.
"""

import os
import threading
import time
from pathlib import Path

READY_FILE = "REWARDSTREAM_READY_FILE"
"""Environment variable with the file's path; without it no supervisor asks."""

works = threading.Event()
"""Set once this process works."""


def mark_ready() -> None:
    """Raises OSError."""
    works.set()
    path = os.environ.get(READY_FILE)
    if path:
        Path(path).write_text(repr(time.monotonic()), encoding="utf-8")


def ready_since(path: Path) -> float | None:
    """The moment on time.monotonic(), or None if the service is not ready."""
    try:
        return float(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # it is being written
        return None
