"""Whether a stage moves: a metric, and a line of the log that says where it stands, if it does not.

Invariant: while nothing waits for the stage, its seconds without progress are 0. The threads of /metrics and of the
alarm compute them, so they rise also while the stage's own thread or event loop is blocked.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from infra.metrics import metrics

log = logging.getLogger(__name__)

_CHECK_SECONDS = 5.0
"""How often the alarm looks: far below any patience."""


@dataclass(slots=True)
class StageProgress:
    """The progress of one stage of this process. It may finish nothing for `patience_seconds` while work waits."""

    stage: str
    patience_seconds: float
    clock: Callable[[], float] = time.monotonic
    _since: float | None = None
    """When the stage finished something last, or when work came after there was none; None if none waits."""
    _waiting: str = ""
    _last: str = "none"
    _said_at: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        metrics.no_progress_seconds.labels(self.stage).set_function(self.seconds)

    def waits(self, work: str | None) -> None:
        """Notes the oldest work that waits, by its group and record; None if there is none."""
        with self._lock:
            self._waiting = work or ""
            if work is None:
                self._since = None
            elif self._since is None:
                self._since = self.clock()

    def moved(self, last: str) -> None:
        """Notes what the stage has finished just now."""
        with self._lock:
            self._last = last
            if self._since is not None:
                self._since = self.clock()

    def seconds(self) -> float:
        since = self._since
        return 0.0 if since is None else max(0.0, self.clock() - since)

    def check(self) -> None:
        """Logs an error if the stage stands still, and again after each further `patience_seconds`."""
        seconds, now = self.seconds(), self.clock()
        if seconds < self.patience_seconds or now - self._said_at < self.patience_seconds:
            return
        self._said_at = now
        log.error(
            "stage %s has made no progress for %.0f s: it works on, or waits with, %s; the last that it finished: %s",
            self.stage,
            seconds,
            self._waiting,
            self._last,
        )

    def watch(self) -> None:
        """Checks from now on, in a thread of its own, until the process ends."""
        threading.Thread(target=self._check_on, name="progress", daemon=True).start()

    def _check_on(self) -> None:
        while True:
            time.sleep(min(_CHECK_SECONDS, self.patience_seconds))
            self.check()
