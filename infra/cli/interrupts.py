"""Ctrl-C and SIGTERM for commands that own a run.

Invariant: the first one interrupts; while the stop that follows lasts, further ones change nothing, so that no
process is left because someone was impatient.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupt_once() -> Iterator[None]:
    """Within, the first SIGINT or SIGTERM raises KeyboardInterrupt."""
    asked = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            return
        asked = True
        print("\nstopping: a few seconds", file=sys.stderr, flush=True)
        raise KeyboardInterrupt

    handlers = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
