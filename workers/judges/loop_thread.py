"""Runs an event loop in its own thread, for callers that block.

Invariant: `close` cancels all work under way, whatever thread waits for it, and leaves no thread behind.
"""

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LoopClosedError(RuntimeError):
    """The loop was closed before the work was done."""


class LoopThread:
    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Returns or raises what `work` does. Raises LoopClosedError. Call it from any thread except the loop's own."""
        if self._loop.is_closed():
            work.close()
            raise LoopClosedError("closed before")
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except concurrent.futures.CancelledError as error:
            raise LoopClosedError("closed meanwhile") from error

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Cancels all work, then runs `last`. A second call does nothing."""
        if self._loop.is_closed():
            last.close()
            return
        self.run(self._cancel_all_then(last))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cancel_all_then(self, last: Coroutine[Any, Any, None]) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await last
