"""What the guard reads from and writes to Postgres.

Invariant: an evaluation that a later lineage took back (its label has an `@`) is neither read nor counted.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, exists, func, insert, or_, select, text

from infra.db.models import Evaluation, GuardCheck
from infra.db.second_scores import read_heldout_verdicts
from streams.messages import Outcome, Purpose
from trainer.guard.confirmation import Confirmation, HeldOutPoint
from trainer.guard.series import HeldOutEvaluation, SeriesKey

BEFORE = "before"
_DURING = r"^v\d+$"
_RECENT_GROUPS = 1000
"""Latest training groups from which the route of each domain is read."""

_TRAINED = {"train": Purpose.TRAIN, "trained": Outcome.TRAINED, "filtered": Outcome.FILTERED}
_ROUTES = text("""
SELECT DISTINCT ON (domain) domain, route
FROM (
    SELECT scores.domain, scores.route, count(*) AS rollouts
    FROM (SELECT group_id FROM groups WHERE run_id = :run_id AND purpose = :train AND outcome IN (:trained, :filtered)
          ORDER BY seq DESC LIMIT :recent) AS recent
    JOIN scores USING (group_id)
    WHERE NOT scores.shadow
    GROUP BY scores.domain, scores.route
) AS counted
ORDER BY domain, rollouts DESC, route
""")
_REWARDS = text("""
SELECT prompts.domain, avg(groups.mean_score)
FROM groups JOIN prompts ON prompts.id = groups.prompt_id
WHERE groups.run_id = :run_id AND groups.purpose = :train AND groups.outcome IN (:trained, :filtered)
  AND groups.mean_score IS NOT NULL AND groups.closed_version > :after AND groups.closed_version <= :until
GROUP BY prompts.domain
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedEvaluation:
    label: str
    version: int
    age_seconds: float
    """Time since its results were written."""
    checked: bool
    """Whether the guard has tested it."""
    rewards_after: int
    """Rewards are those of the training groups that closed at a version above this one, up to the next."""
    rewards_until: int


def finished_evaluations(connection: Connection, run_id: str) -> list[FinishedEvaluation]:
    """The evaluations before and during training that have results, in the order of their versions. The first has the
    rewards of the first step, which is as near to its policy as training comes.
    """
    checked = exists().where(GuardCheck.run_id == run_id, GuardCheck.label == Evaluation.label)
    rows = connection.execute(
        select(
            Evaluation.label,
            Evaluation.version,
            func.extract("epoch", func.now() - func.max(Evaluation.created_at)),
            checked,
        )
        .where(Evaluation.run_id == run_id)
        .where(or_(Evaluation.label == BEFORE, Evaluation.label.regexp_match(_DURING)))
        .group_by(Evaluation.label, Evaluation.version)
        .order_by(Evaluation.version, Evaluation.label)
    ).all()
    starts = [-1, *(row.version for row in rows)]
    return [
        FinishedEvaluation(
            label=label,
            version=version,
            age_seconds=float(age),
            checked=bool(is_checked),
            rewards_after=after,
            rewards_until=max(1, version),
        )
        for (label, version, age, is_checked), after in zip(rows, starts, strict=False)
    ]


def read_evaluations(
    connection: Connection, run_id: str, evaluations: Sequence[FinishedEvaluation]
) -> list[HeldOutEvaluation]:
    verdicts = read_heldout_verdicts(connection, run_id, [one.label for one in evaluations])
    return [
        HeldOutEvaluation(
            label=one.label,
            version=one.version,
            verdicts=[row for row in verdicts if row.label == one.label],
            rewards=_rewards_between(connection, run_id, one.rewards_after, one.rewards_until),
        )
        for one in evaluations
    ]


def training_routes(connection: Connection, run_id: str) -> dict[str, str]:
    """Domain -> the route that rewards it, as of the latest training groups; empty before any was scored."""
    rows = connection.execute(_ROUTES, _TRAINED | {"run_id": run_id, "recent": _RECENT_GROUPS})
    return {domain: route for domain, route in rows}  # noqa: C416 (to dict's type a Row is not a pair)


def write_checks(
    connection: Connection, run_id: str, checks: Sequence[tuple[SeriesKey, HeldOutPoint, Confirmation | None]]
) -> None:
    rows = [_row(run_id, *check) for check in checks]
    if rows:
        connection.execute(insert(GuardCheck), rows)


def read_checks(connection: Connection, run_id: str) -> Sequence[Any]:
    """All rows of `guard_checks` that count, oldest version first."""
    columns = GuardCheck.__table__.c
    query = select(*columns).where(columns.run_id == run_id, columns.label.not_like("%@%"))
    return connection.execute(query.order_by(columns.version, columns.route, columns.domain)).all()


def _rewards_between(connection: Connection, run_id: str, after: int, until: int) -> dict[str, float]:
    rows = connection.execute(_REWARDS, _TRAINED | {"run_id": run_id, "after": after, "until": until})
    return {domain: float(mean) for domain, mean in rows}


def _row(run_id: str, key: SeriesKey, point: HeldOutPoint, check: Confirmation | None) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "label": point.label,
        "route": key.route,
        "domain": key.domain,
        "version": point.version,
        "scorers": point.scorers if point.credited else "",
        "prompts": len(point.confirmed),
        "credited": _mean(point.credited.values()),
        "confirmed": _mean(point.confirmed.values()),
        "reward": point.reward,
        "since_label": check and check.since_label,
        "since_version": check and check.since_version,
        "reward_change": check and check.reward_change,
        "true_change": check and check.true_change,
        "z": check and check.z,
        "z_limit": check and check.limit,
        "alarm": check is not None and check.alarm,
    }


def _mean(values: Collection[float]) -> float | None:
    return sum(values) / len(values) if values else None
