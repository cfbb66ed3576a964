"""Reads what the live screen shows of a run from Postgres, every few seconds: four small queries, read only."""

from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from infra.db.models import Evaluation, Group, Run

_OPEN = "open"


@dataclass(frozen=True, slots=True)
class RunFactsNow:
    phase: str = "starting"
    outcomes: dict[str, int] = field(default_factory=dict)
    """Outcome -> groups; `open` are those in flight."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Reason -> filtered groups."""
    staleness: dict[int, int] = field(default_factory=dict)
    """Staleness in versions -> trained groups."""
    heldout: dict[str, dict[str, float]] = field(default_factory=dict)
    """Label -> domain -> mean score, with the labels in the order of measurement."""


def read(engine: Engine, run_id: str) -> RunFactsNow:
    """Raises SQLAlchemyError if the database does not answer."""
    with Session(engine) as session:
        phase = session.scalar(select(Run.phase).where(Run.id == run_id))
        outcomes: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        groups = select(Group.outcome, Group.reason, func.count()).where(Group.run_id == run_id)
        for outcome, reason, count in session.execute(groups.group_by(Group.outcome, Group.reason)):
            outcomes[outcome or _OPEN] += count
            if outcome == "filtered":
                reasons[reason or ""] += count
        ages = select(Group.staleness, func.count()).where(Group.run_id == run_id, Group.staleness.is_not(None))
        staleness = {age: count for age, count in session.execute(ages.group_by(Group.staleness)) if age is not None}
        heldout: dict[str, dict[str, float]] = {}
        results = select(Evaluation).where(Evaluation.run_id == run_id).order_by(Evaluation.version, Evaluation.domain)
        for row in session.scalars(results):
            heldout.setdefault(row.label, {})[row.domain] = row.mean
    return RunFactsNow(phase or "starting", dict(outcomes), dict(reasons), staleness, heldout)
