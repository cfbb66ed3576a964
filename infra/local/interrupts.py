"""Ctrl-C and SIGTERM for a process that owns other processes.

Invariants:
- The first one interrupts. Further ones during the stop that follows change nothing, so that impatience leaves no
  process behind.
- It never interrupts a `held` block. Starting a process and noting it happens in such a block: an interrupt between
  the two would leave the process unknown, and an interrupt while the interpreter's own modules hold a lock would never
  release it.
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
    """State of the main thread, the only one that Python interrupts."""

    blocks: int = 0
    """Number of `held` blocks that the thread is in."""
    pending: bool = False
    """Whether an interrupt waits for the end of the outermost block."""


_STATE = _State()


@contextmanager
def interrupt_once() -> Iterator[None]:
    """Within the block, the first SIGINT or SIGTERM raises KeyboardInterrupt. For the main thread."""
    asked = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            return
        asked = True
        os.write(_STDERR, b"\nstopping: a few seconds\n")  # not print: a buffered write may be what was interrupted
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
    """Within `interrupt_once`, an interrupt that comes during this block is raised at its end. In other threads the
    block has no effect.
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
