"""Logs an error when a run makes no progress, since the selector must not wait for other processes in silence."""

import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection

from trainer.curriculum import group_counts

log = logging.getLogger(__name__)

GRACE_SECONDS = 60.0
"""The learner closes an expired group within one poll, and a restarting learner loads its models within this time."""
REPEAT_SECONDS = 30.0
"""Shortest time between two errors, so that the log stays readable."""


@dataclass(slots=True)
class StallAlarm:
    """Logs nothing while groups close, or while no open group is past its deadline by GRACE_SECONDS."""

    run_id: str
    _progress_at: float = field(default_factory=time.monotonic)
    _logged_at: float = float("-inf")

    def progress(self) -> None:
        self._progress_at = time.monotonic()

    def check(self, connection: Connection, label: str | None) -> bool:
        """Logs an error if the run has stalled; returns whether it did. `label` is the awaited measurement, if any."""
        now = time.monotonic()
        silent = now - self._progress_at
        if silent < GRACE_SECONDS or now - self._logged_at < REPEAT_SECONDS:
            return False
        oldest = group_counts.oldest_open(connection, self.run_id)
        if oldest is None:
            has_logged = label is not None and self._log_missing_verdicts(connection, label, silent)
        else:
            has_logged = self._log_overdue(connection, oldest, silent)
        if has_logged:
            self._logged_at = now
        return has_logged

    def _log_overdue(self, connection: Connection, oldest: group_counts.OldestOpenGroup, silent: float) -> bool:
        late = (datetime.now(UTC) - oldest.deadline).total_seconds()
        if late < GRACE_SECONDS:
            return False
        verdicts = group_counts.verdicts_of(connection, oldest.group_id)
        log.error(
            "no group was closed for %.0f s; %d groups are open, and %s is %.0f s past its deadline: check that the "
            "learner, which closes groups, runs and reads (its log, its lag on prompts and scored). Of the group, the "
            "database has %d of %d verdicts (the last: %s), so %s",
            silent,
            group_counts.open_groups(connection, self.run_id),
            oldest.group_id,
            late,
            verdicts.count,
            oldest.samples,
            verdicts.last or "none",
            _holder(verdicts.count, oldest.samples),
        )
        return True

    def _log_missing_verdicts(self, connection: Connection, label: str, silent: float) -> bool:
        groups = group_counts.unscored_groups(connection, self.run_id, label)
        if not groups:
            return False
        log.error(
            "%s: all groups are closed, but %d have lacked verdicts in the database for %.0f s: check that the "
            "difficulty stage, which writes them, runs and reads",
            label,
            len(groups),
            silent,
        )
        return True


def _holder(verdicts: int, samples: int) -> str:
    """Which stage has what a group lacks, by its verdicts."""
    if verdicts >= samples:
        return "the learner has all of them"
    if verdicts:
        return "the others are at the rollout worker or a scorer"
    return "they are at the rollout worker, the router, a scorer or the difficulty stage"
