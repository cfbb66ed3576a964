"""Ctrl-C and SIGTERM for whoever owns processes.

Invariants:
- The first one interrupts; while the stop that follows lasts, further ones change nothing, so that no process is left
  because someone was impatient.
- It never interrupts a `held` block. A process is started and noted in one: an interrupt between the two would leave
  it unknown, and one within a lock of the interpreter's own modules would leave that taken for ever.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

_STDERR = 2


@dataclass(slots=True)
class _State:
    """Of the main thread, the only one that Python interrupts."""

    blocks: int = 0
    """`held` blocks that it is in."""
    pending: bool = False
    """An interrupt waits for the end of the outermost."""


_STATE = _State()


@contextmanager
def interrupt_once() -> Iterator[None]:
    """Within, the first SIGINT or SIGTERM raises KeyboardInterrupt. For the main thread."""
    asked = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            return
        asked = True
        os.write(_STDERR, b"\nstopping: a few seconds\n")  # a buffered write may be what is interrupted
        if _STATE.blocks:
            _STATE.pending = True
            return
        raise KeyboardInterrupt

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in handlers:
            signal.signal(number, handle)
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def held() -> Iterator[None]:
    """Within `interrupt_once`, an interrupt that comes in this block is raised at its end. Other threads' blocks end as
    they would anyway.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _STATE.blocks += 1
    try:
        yield
    finally:
        _STATE.blocks -= 1
        if _STATE.pending and not _STATE.blocks:
            _STATE.pending = False
            raise KeyboardInterrupt
