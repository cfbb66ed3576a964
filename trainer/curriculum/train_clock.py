"""How long a run has trained: the clock of `selector.max_train_seconds`.

Invariant: time counts only while a selector goes through its rounds. The time for which the run was down, or waited for
a broker or database, does not, so a run that resumes has what was left of its time.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from infra.db.models import Run

_STORE_SECONDS = 1.0
"""A selector that is killed forgets at most this much, and one small update per second costs nothing."""
_LONGEST_ROUND_SECONDS = 60.0
"""A round takes tenths of a second, and one that selects among a million prompts takes seconds. A longer one was
stopped or waited for a part."""


@dataclass(slots=True)
class TrainClock:
    run_id: str
    now: Callable[[], float] = time.monotonic
    _stored: float = 0.0
    _since: float | None = None
    """When `_stored` was right; None before the first look."""

    def seconds(self, connection: Connection) -> float:
        """Seconds trained until now. Call it in every round of training."""
        now = self.now()
        if self._since is None:
            stored = connection.scalar(select(Run.trained_seconds).where(Run.id == self.run_id))
            self._stored, self._since = stored or 0.0, now
        elapsed = now - self._since
        if elapsed < _STORE_SECONDS:
            return self._stored + elapsed
        self._stored += min(elapsed, _LONGEST_ROUND_SECONDS)
        self._since = now
        connection.execute(update(Run).where(Run.id == self.run_id).values(trained_seconds=self._stored))
        return self._stored
