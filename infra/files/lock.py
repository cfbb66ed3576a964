"""A lock between processes, on a file.

Invariant: the kernel holds the lock (flock), so it is released the moment its holder ends, however that happens.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Waits while another process holds the lock. The file is not removed. Raises OSError if it cannot be made."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
