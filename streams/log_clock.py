"""The time by which deadlines are judged: that of the records which name them. And how far clocks differ.

Invariant: the clock of the process that asks has no say, only how much time passed in it. The dispatcher writes a
ticket's deadline and stamps its record by one clock, so a worker or learner whose own clock is wrong by an hour neither
drops sound groups nor keeps dead ones.

A record that waited in the log makes this time late, never early: a group then expires later than it might. The
dispatcher writes the tickets of overdue groups again, with a new stamp, and so sets it right.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from infra.metrics import metrics
from streams.records import Record

log = logging.getLogger(__name__)

SKEW_SECONDS = 60.0
"""A record seldom waits for this long, and clocks that are kept by NTP differ by milliseconds."""
_REPEAT_SECONDS = 600.0


def measure_skew(records: Sequence[Record], wall: Callable[[], float] = time.time) -> None:
    """Sets the metric by the newest of these records, which were just read: one from the future proves that two clocks
    differ, and one from the past nothing.
    """
    if records:
        metrics.clock_skew_seconds.set(max(0.0, max(record.timestamp for record in records) - wall()))


@dataclass(slots=True)
class LogClock:
    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    """The process's own clock: only compared, for a warning."""
    _ahead: float = -math.inf
    """Unix seconds of the log, minus `monotonic()`."""
    _warned_at: float = -math.inf

    def see(self, record: Record) -> None:
        """Call it with every ticket that is read, in the order of reading."""
        now = self.monotonic()
        self._ahead = record.timestamp - now
        skew = self.wall() - record.timestamp
        if abs(skew) >= SKEW_SECONDS and now - self._warned_at >= _REPEAT_SECONDS:
            self._warned_at = now
            log.warning(
                "by this process's clock a record of %s was written %.0f s %s: it waited in the log, or the clocks of "
                "this machine and the dispatcher's differ (check NTP). Deadlines follow the dispatcher's",
                record.topic,
                abs(skew),
                "ago" if skew > 0 else "in the future",
            )

    def now(self) -> float:
        """Unix seconds; -inf before the first record, since nothing is late then."""
        return self._ahead + self.monotonic()
