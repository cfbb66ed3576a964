"""Counts over the run's groups, and their order, on which the phases decide. They come from Postgres, so a restart
decides the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Select, and_, distinct, func, select

from infra.db.models import Group, Prompt, Score
from streams.messages import Outcome, Purpose
from trainer.curriculum.prompt_ids import PromptIds, read_ids

VERDICT_GRACE = timedelta(seconds=120)
"""How long, after its deadline and its closing, a group's score rows are awaited. The difficulty stage writes a verdict
within a second after the learner reads it, or within half a minute if it was killed and reads again. A row that is not
there by then was set aside as a dead letter.
"""
_ROWS_AT_A_TIME = 10_000
"""Rows of a run's history in memory."""


@dataclass(frozen=True, slots=True)
class OldestOpenGroup:
    """The open group with the earliest deadline."""

    group_id: str
    deadline: datetime
    samples: int


@dataclass(frozen=True, slots=True)
class GroupVerdicts:
    """The verdicts of a group that are in the database."""

    count: int
    last: str
    """Rollout of the newest one, and when it was scored; empty if there is none."""


def verdicts_of(connection: Connection, group_id: str) -> GroupVerdicts:
    query = select(Score.rollout_id, Score.scored_at).where(Score.group_id == group_id, ~Score.shadow)
    rows = connection.execute(query.order_by(Score.scored_at)).all()
    return GroupVerdicts(len(rows), f"{rows[-1].rollout_id}, scored at {rows[-1].scored_at:%H:%M:%S}" if rows else "")


def open_groups(connection: Connection, run_id: str, purpose: Purpose | None = None, label: str | None = None) -> int:
    query = select(func.count()).select_from(Group).where(Group.run_id == run_id, Group.outcome.is_(None))
    if purpose is not None:
        query = query.where(Group.purpose == purpose)
    if label is not None:
        query = query.where(Group.label == label)
    return connection.scalar(query) or 0


def oldest_open(connection: Connection, run_id: str) -> OldestOpenGroup | None:
    row = connection.execute(
        select(Group.group_id, Group.deadline, Group.samples)
        .where(Group.run_id == run_id, Group.outcome.is_(None))
        .order_by(Group.deadline, Group.seq)
        .limit(1)
    ).one_or_none()
    return None if row is None else OldestOpenGroup(row.group_id, row.deadline, row.samples)


def train_history(connection: Connection, run_id: str) -> Iterable[tuple[int, str, int]]:
    """The seq and the domain of each train group dispatched so far, and the version at its dispatch, in the order of
    dispatch. Read it within the transaction.
    """
    query = (
        select(Group.seq, Prompt.domain, Group.dispatched_version)
        .join(Group, Group.prompt_id == Prompt.id)
        .where(Group.run_id == run_id, Group.purpose == Purpose.TRAIN)
        .order_by(Group.seq)
    )
    rows = connection.execute(query, execution_options={"yield_per": _ROWS_AT_A_TIME})
    return ((seq, domain, version) for seq, domain, version in rows)


def newest_trained(connection: Connection, run_id: str, newest: int) -> dict[str, int]:
    """Number of trained groups by domain among the newest groups of a run."""
    last = connection.scalar(select(func.max(Group.seq)).where(Group.run_id == run_id))
    query = (
        select(Prompt.domain, func.count())
        .join(Group, Group.prompt_id == Prompt.id)
        .where(Group.run_id == run_id, Group.seq > (-1 if last is None else last) - newest)
        .where(Group.outcome == Outcome.TRAINED)
    )
    return dict(connection.execute(query.group_by(Prompt.domain)).tuples().all())


def dispatched_prompts(connection: Connection, run_id: str, label: str) -> PromptIds:
    return read_ids(connection, select(Group.prompt_id).where(Group.run_id == run_id, Group.label == label))


def unscored_groups(
    connection: Connection, run_id: str, label: str, among: Sequence[str] | None = None
) -> Sequence[str]:
    """Ids of the label's measured groups whose missing verdicts may still come into the database.

    `among` are the ids that an earlier look found, if no group of the label was dispatched or closed since: scores do
    not vanish, so no other group can lack one.
    """
    query = _groups_lacking_rows(run_id, label).where(_verdicts_due_by() > func.now())
    return connection.scalars(query if among is None else query.where(Group.group_id.in_(among))).all()


def given_up_groups(connection: Connection, run_id: str, label: str) -> int:
    """Number of the label's measured groups whose missing verdicts are no longer awaited; they count without them."""
    lacking = _groups_lacking_rows(run_id, label).where(_verdicts_due_by() <= func.now())
    return connection.scalar(select(func.count()).select_from(lacking.subquery())) or 0


def _verdicts_due_by() -> ColumnElement[datetime]:
    return func.greatest(Group.deadline, Group.closed_at, type_=Group.deadline.type) + VERDICT_GRACE


def _groups_lacking_rows(run_id: str, label: str) -> Select[str]:
    """Ids of measured groups with fewer rollouts in `scores` than samples. The scores of a group are counted through
    their index, so the cost is that of the groups that the caller's condition leaves, and not that of the run's scores.
    """
    scored = (
        select(func.count(distinct(Score.rollout_id)))
        .where(Score.group_id == Group.group_id, ~Score.shadow)
        .scalar_subquery()
    )
    return select(Group.group_id).where(
        Group.run_id == run_id, Group.label == label, Group.outcome == Outcome.FILTERED, scored < Group.samples
    )


def primary_scores(run_id: str, label: str) -> Select[str, str, str, str, float | None]:
    """One row per rollout of the label's groups: (rollout_id, group_id, prompt_id, domain, score).

    It is the first verdict that is not a shadow score, so it is on the route that the rollout had, even if the prompt
    was rerouted since.
    """
    return (
        select(Score.rollout_id, Score.group_id, Prompt.id.label("prompt_id"), Prompt.domain, Score.score)
        .join(Group, and_(Group.group_id == Score.group_id, Group.run_id == run_id, Group.label == label))
        .join(Prompt, Prompt.id == Group.prompt_id)
        .where(~Score.shadow)
        .distinct(Score.rollout_id)
        .order_by(Score.rollout_id, Score.scored_at)
    )
