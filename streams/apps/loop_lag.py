"""How late an event loop is: whatever computes in the loop delays every timer, heartbeat and fetch of its process.

Invariant: the lag is computed when it is asked for, by the thread of /metrics, so it rises also while the loop is
blocked and measures nothing.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from infra.metrics import metrics

_EVERY_SECONDS = 0.25
"""Four wake-ups per second cost nothing, and a loop that is late by a second is found at once."""
_WINDOW_SECONDS = 30.0
"""A lag is shown this long, so that a scrape every 15 s meets it."""


class LoopLag:
    def __init__(self, stage: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due = float("inf")
        self._seen: deque[tuple[float, float]] = deque()
        """(time, lag) of the window; each lag is larger than those after it."""
        metrics.event_loop_lag_seconds.labels(stage).set_function(self.seconds)

    async def watch(self) -> None:
        """Measures the loop that it runs in, until it is cancelled."""
        while True:
            self._due = self._clock() + _EVERY_SECONDS
            await asyncio.sleep(_EVERY_SECONDS)
            self.note(self._clock() - self._due)

    def note(self, lag: float) -> None:
        while self._seen and self._seen[-1][1] <= lag:
            self._seen.pop()
        now = self._clock()
        self._seen.append((now, lag))
        while now - self._seen[0][0] > _WINDOW_SECONDS:
            self._seen.popleft()

    def seconds(self) -> float:
        """Returns the largest lag of the last 30 s, the one that goes on included."""
        now = self._clock()
        recent = max((lag for at, lag in list(self._seen) if now - at <= _WINDOW_SECONDS), default=0.0)
        return max(0.0, recent, now - self._due)
