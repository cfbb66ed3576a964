"""Defers SIGINT and SIGTERM while weights change.

Invariant: outside of a `with` block, and in one until `defer` is called, a signal is handled at once. After `defer` it
is handled at the end of the block, unless the block raises.
"""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """For the main thread, the only one that signals reach; in others it does nothing."""

    def __init__(self) -> None:
        self._handlers: dict[int, Any] = {}
        self._caught: int | None = None

    def defer(self) -> None:
        """Calling it twice is the same as once."""
        if self._handlers or threading.current_thread() is not threading.main_thread():
            return
        for number in _SIGNALS:
            if callable(signal.getsignal(number)):
                self._handlers[number] = signal.signal(number, self._note)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        handlers, self._handlers = self._handlers, {}
        for number, handler in handlers.items():
            signal.signal(number, handler)
        caught, self._caught = self._caught, None
        if caught is not None and kind is None:
            handlers[caught](caught, None)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._caught = number
