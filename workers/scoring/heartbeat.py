"""Cancels a batch that hangs: the limit is on its silence, not on its work.

Invariant: a batch that sends no heartbeat for the limit is cancelled. A batch that waits on purpose says for how long,
so it may be held without bound.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Heartbeat:
    """The heartbeat of one stage, which works on one batch at a time. Time is the running event loop's clock.

    Used in the event loop's thread only.
    """

    def __init__(self, limit_seconds: float = math.inf) -> None:
        self.limit_seconds = limit_seconds
        self._timer: asyncio.Timeout | None = None

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[None]:
        """Raises TimeoutError inside the block once the block has been silent for too long."""
        async with asyncio.timeout(self.limit_seconds) as timer:
            self._timer = timer
            try:
                yield
            finally:
                self._timer = None

    def beat(self, quiet_seconds: float = 0.0) -> None:
        """Says that the batch is alive and will be silent for `quiet_seconds` on purpose. A batch that was cancelled
        stays cancelled.
        """
        if self._timer is not None and not self._timer.expired():
            self._timer.reschedule(asyncio.get_running_loop().time() + quiet_seconds + self.limit_seconds)
