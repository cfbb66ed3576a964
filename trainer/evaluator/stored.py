"""What evaluations have stored: which model was measured, what it was asked, and the scores under one digest.

Invariant: only whole groups count. In a group that was cut short, the responses that are missing are the long ones, so
its scores would be a biased sample; they stay in the database and are drawn again.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Connection, and_, func, select
from sqlalchemy.dialects.postgresql import insert

from infra.db.models import EvaluatedModel, EvaluatedPrompt, Group, Score
from streams.messages import Outcome, Purpose

if TYPE_CHECKING:
    from trainer.evaluator.plan import EvaluationPlan

T = TypeVar("T")

_ROWS = 1000
"""Rows of one statement, far below Postgres's limit of 65,535 parameters."""


def record_evaluation(connection: Connection, run_id: str, plan: "EvaluationPlan") -> None:
    """Writes what the run measures, before its first ticket."""
    policy = plan.policy
    model = {
        "run_id": run_id,
        "model": policy.name,
        "weights": policy.digest,
        "source_run": policy.source_run,
        "lineage": policy.lineage,
        "version": policy.version,
    }
    connection.execute(insert(EvaluatedModel).values(model))
    rows = [{"run_id": run_id, "prompt_id": prompt.prompt_id, "asked": prompt.asked} for prompt in plan.prompts]
    for chunk in chunks(rows):
        connection.execute(insert(EvaluatedPrompt), chunk)


@dataclass(frozen=True, slots=True)
class StoredScore:
    score: float
    tokens: int
    """Length of the response."""


def stored_scores(connection: Connection, asked: Sequence[str]) -> dict[str, list[StoredScore]]:
    """The scores of every whole group by digest, in the order in which they were drawn."""
    found: dict[str, list[StoredScore]] = defaultdict(list)
    for chunk in chunks(list(dict.fromkeys(asked))):
        first = (
            select(
                EvaluatedPrompt.asked,
                EvaluatedModel.created_at,
                Group.run_id,
                Group.seq,
                Score.rollout_id,
                Score.score,
                Score.response_tokens,
            )
            .join(EvaluatedModel, EvaluatedModel.run_id == EvaluatedPrompt.run_id)
            .join(Group, and_(Group.run_id == EvaluatedPrompt.run_id, Group.prompt_id == EvaluatedPrompt.prompt_id))
            .join(Score, Score.group_id == Group.group_id)
            .where(
                EvaluatedPrompt.asked.in_(chunk),
                Group.purpose == Purpose.EVAL,
                Group.outcome == Outcome.FILTERED,
                ~Score.shadow,
            )
            .distinct(Score.rollout_id)
            .order_by(Score.rollout_id, Score.scored_at)
            .subquery()
        )
        order = (first.c.created_at, first.c.run_id, first.c.seq, first.c.rollout_id)
        columns = (first.c.asked, first.c.score, first.c.response_tokens)
        for digest, score, tokens in connection.execute(select(*columns).order_by(*order)):
            found[digest].append(StoredScore(score, tokens))
    return dict(found)


def failures_of(connection: Connection, run_id: str) -> dict[str, int]:
    """Why groups of a run have no result -> number of groups, the most frequent reason first."""
    query = (
        select(Group.reason, func.count())
        .where(Group.run_id == run_id, Group.outcome.in_((Outcome.FAILED, Outcome.EXPIRED)))
        .group_by(Group.reason)
        .order_by(func.count().desc(), Group.reason)
    )
    return {reason or "no reason": count for reason, count in connection.execute(query)}


def chunks(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Parts of as many rows as one statement takes."""
    return (rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS))
