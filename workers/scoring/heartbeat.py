"""The time that a batch may take: a limit on silence, not on work.

Invariant: a batch that gives no sign of life for its limit has hung and is cancelled; one that waits on purpose says
for how long, and may so be held without bound.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Heartbeat:
    """Of one stage, which works on one batch at a time. Used in the event loop's thread."""

    def __init__(self, limit_seconds: float = math.inf) -> None:
        self.limit_seconds = limit_seconds
        self._timer: asyncio.Timeout | None = None

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[None]:
        """Raises TimeoutError in the batch within it once it is silent for too long."""
        async with asyncio.timeout(self.limit_seconds) as timer:
            self._timer = timer
            try:
                yield
            finally:
                self._timer = None

    def beat(self, quiet_seconds: float = 0.0) -> None:
        """The batch lives, and will say nothing for `quiet_seconds` on purpose. Too late for one that is cancelled."""
        if self._timer is not None and not self._timer.expired():
            self._timer.reschedule(asyncio.get_running_loop().time() + quiet_seconds + self.limit_seconds)
