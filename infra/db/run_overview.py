"""One run at a glance: what it is, where it stands, and what came of its groups. Read only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, func, select

from infra.db.models import Evaluation, Group, Run
from infra.db.prune import list_runs

BEFORE, AFTER = "before", "after"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOverview:
    run_id: str
    phase: str
    recipe: str
    """Name that the run was started with; empty if there was none, or an earlier release started it."""
    model: str
    created_at: datetime
    train_started_at: datetime | None
    finished_at: datetime | None
    version: int
    """The newest version under which a group was closed."""
    lineages: int
    """The learner's starts, as far as groups were closed since."""
    groups: dict[str, dict[str, int]]
    """Purpose -> outcome, or `open` -> number of groups."""
    heldout: dict[str, dict[str, float]]
    """Domain -> label of an evaluation (`before` or `after`) -> mean score."""
    scores: int
    bytes: int
    """The estimate of `infra.db.prune.RunRows`."""


def read_overview(engine: Engine, run_id: str) -> RunOverview | None:
    """None if the run is not in the database."""
    found = list_runs(engine, run_id)
    if not found:
        return None
    own = Group.run_id == run_id
    outcome = func.coalesce(Group.outcome, "open")
    with engine.connect() as connection:
        settings: dict[str, Any] = connection.scalars(select(Run.settings).where(Run.id == run_id)).one()
        started = connection.scalar(select(Run.train_started_at).where(Run.id == run_id))
        reached = select(func.max(Group.closed_version), func.count(Group.closed_lineage.distinct())).where(own)
        version, lineages = connection.execute(reached).one()
        groups: dict[str, dict[str, int]] = {}
        counts = select(Group.purpose, outcome, func.count()).where(own).group_by(Group.purpose, outcome)
        for purpose, ending, count in connection.execute(counts.order_by(Group.purpose, outcome)):
            groups.setdefault(purpose, {})[ending] = count
        heldout: dict[str, dict[str, float]] = {}
        results = select(Evaluation.domain, Evaluation.label, Evaluation.mean)
        results = results.where(Evaluation.run_id == run_id, Evaluation.label.in_((BEFORE, AFTER)))
        for domain, label, mean in connection.execute(results.order_by(Evaluation.domain)):
            heldout.setdefault(domain, {})[label] = mean
    [rows] = found
    return RunOverview(
        run_id=run_id,
        phase=rows.phase,
        recipe=settings.get("run", {}).get("recipe", ""),
        model=settings.get("model", {}).get("path", ""),
        created_at=rows.created_at,
        train_started_at=started,
        finished_at=rows.finished_at,
        version=version or 0,
        lineages=lineages,
        groups=groups,
        heldout=heldout,
        scores=rows.scores,
        bytes=rows.bytes,
    )
