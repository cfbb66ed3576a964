"""Which groups of an evaluation end, and how: decided from the rows of Postgres alone.

Invariant: a group is measured only once every one of its verdicts has a row, so a result never waits for a row that may
still be lost. A group without an ending stays open.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, func, select

from infra.db.models import Group, Score
from streams.messages import Outcome
from trainer.curriculum.group_counts import VERDICT_GRACE

MEASURED = "measured"


@dataclass(frozen=True, slots=True)
class EndedGroup:
    group_id: str
    seq: int
    outcome: Outcome
    reason: str
    mean_score: float | None


@dataclass(frozen=True, slots=True)
class OpenGroupRows:
    """An open group, and the rows of its verdicts."""

    group_id: str
    seq: int
    samples: int
    deadline: datetime
    rows: int
    """Number of rollouts with a row."""
    scored: int
    """Number of rollouts with a score."""
    mean_score: float | None
    why: str | None
    """Why the scorer gave no score, if it gave none to one of them."""


def ended_groups(
    connection: Connection, run_id: str, set_aside: Mapping[str, str], now: datetime | None = None
) -> list[EndedGroup]:
    """The open groups that end now, by seq. `set_aside`: group id -> why a record of the group is in the dead letters,
    so that its other records are not awaited until the deadline.
    """
    now = now or datetime.now(UTC)
    found = (ending(group, set_aside.get(group.group_id), now) for group in _open_groups(connection, run_id))
    return [group for group in found if group is not None]


def ending(group: OpenGroupRows, set_aside: str | None, now: datetime) -> EndedGroup | None:
    if group.rows > group.scored:
        outcome, reason = Outcome.FAILED, group.why or "the scorer gave no score"
    elif group.scored >= group.samples:
        outcome, reason = Outcome.FILTERED, MEASURED
    elif set_aside is not None:
        outcome, reason = Outcome.FAILED, set_aside
    elif now > group.deadline + VERDICT_GRACE:
        outcome, reason = Outcome.EXPIRED, "deadline"
    else:
        return None
    return EndedGroup(group.group_id, group.seq, outcome, reason, group.mean_score)


def _open_groups(connection: Connection, run_id: str) -> list[OpenGroupRows]:
    """The open groups, of which there are as many as may be in flight, each with its first verdicts."""
    first = (
        select(Score.rollout_id, Score.group_id, Score.score, Score.why)
        .join(Group, Group.group_id == Score.group_id)
        .where(Group.run_id == run_id, Group.outcome.is_(None), ~Score.shadow)
        .distinct(Score.rollout_id)
        .order_by(Score.rollout_id, Score.scored_at)
        .subquery()
    )
    query = (
        select(
            Group.group_id,
            Group.seq,
            Group.samples,
            Group.deadline,
            func.count(first.c.rollout_id),
            func.count(first.c.score),
            func.avg(first.c.score),
            func.max(first.c.why).filter(first.c.score.is_(None)),
        )
        .outerjoin(first, first.c.group_id == Group.group_id)
        .where(Group.run_id == run_id, Group.outcome.is_(None))
        .group_by(Group.run_id, Group.seq)
        .order_by(Group.seq)
    )
    return [OpenGroupRows(*row) for row in connection.execute(query)]
