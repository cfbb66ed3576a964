"""Says loudly when a run stands still: the selector waits for others, and must not wait in silence."""

import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection

from trainer.curriculum import group_counts

log = logging.getLogger(__name__)

GRACE_SECONDS = 60.0
"""The learner closes an expired group within a poll; a learner that restarts loads its models in this time."""
EVERY_SECONDS = 30.0
"""Often enough to be seen, seldom enough to be read."""


@dataclass(slots=True)
class StallAlarm:
    """Silent while groups close, or while no open group is past its deadline by the grace."""

    run_id: str
    _progress_at: float = field(default_factory=time.monotonic)
    _said_at: float = float("-inf")

    def progress(self) -> None:
        self._progress_at = time.monotonic()

    def check(self, connection: Connection, label: str | None) -> bool:
        """`label` is the measurement that is waited for, if any. Returns whether it spoke."""
        now = time.monotonic()
        silent = now - self._progress_at
        if silent < GRACE_SECONDS or now - self._said_at < EVERY_SECONDS:
            return False
        oldest = group_counts.oldest_open(connection, self.run_id)
        if oldest is None:
            spoke = label is not None and self._verdicts_missing(connection, label, silent)
        else:
            spoke = self._overdue(connection, oldest, silent)
        if spoke:
            self._said_at = now
        return spoke

    def _overdue(self, connection: Connection, oldest: group_counts.OldestOpenGroup, silent: float) -> bool:
        late = (datetime.now(UTC) - oldest.deadline).total_seconds()
        if late < GRACE_SECONDS:
            return False
        log.error(
            "nothing closed for %.0f s; %d groups are open, %s for %.0f s past its deadline: the learner closes "
            "groups, see whether it runs and reads (its log, its lag on prompts and scored)",
            silent,
            group_counts.open_groups(connection, self.run_id),
            oldest.group_id,
            late,
        )
        return True

    def _verdicts_missing(self, connection: Connection, label: str, silent: float) -> bool:
        groups = group_counts.unscored_groups(connection, self.run_id, label)
        if not groups:
            return False
        log.error(
            "%s: every group is closed, and %d wait for verdicts in the database for %.0f s: the difficulty stage "
            "writes them, see whether it runs and reads",
            label,
            groups,
            silent,
        )
        return True
