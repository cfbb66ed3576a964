"""Counts scores into the statistics of their prompts in SQL: one statement per batch, whatever its size.

Invariant: counting scores here, in any number of batches, gives what `infra.db.statistics.Running` gives one score at a
time, except for rounding. Counts, means and squared deviations of a batch are merged with those before it by the
formulas of Chan, Golub and LeVeque (1979). Rows are locked in key order, so that replicas never deadlock.

What is below 1e-150 counts as 0: Postgres reports an underflow as an error, and a product of two larger factors is
none.
"""

import math
from typing import Any

from sqlalchemy import CTE, ColumnElement, Float, Integer, case, cast, func, literal, or_, select
from sqlalchemy.dialects.postgresql import Insert, insert

from infra.db.models import PromptStats
from infra.db.statistics import PASS_ABOVE

_NOTHING = 1e-150


def decayed(value: ColumnElement[float], age: ColumnElement[int], decay: float) -> ColumnElement[float]:
    """`value` times `decay` to the power of `age` (in versions, at least 0)."""
    if decay in (0.0, 1.0):
        return value if decay else case((age > 0, 0.0), else_=value)
    horizon = math.floor(math.log(_NOTHING) / math.log(decay))
    return case((or_(age > horizon, value < _NOTHING), 0.0), else_=func.power(literal(decay, Float), age) * value)


def count_scores(new: CTE, decay: float) -> Insert:
    """Inserts or changes the rows of `prompt_stats` for the rows of `new` that have a score.

    `new` has the columns run_id, prompt_id, route, score and policy_version.
    """
    key = new.c.run_id, new.c.prompt_id, new.c.route
    newest = func.max(new.c.policy_version).over(partition_by=key).label("newest")
    seen = select(*key, new.c.score, new.c.policy_version, newest).where(new.c.score.is_not(None)).cte("seen")
    score, age, count = seen.c.score, seen.c.newest - seen.c.policy_version, cast(func.count(), Integer)
    batch = (
        select(
            seen.c.run_id,
            seen.c.prompt_id,
            seen.c.route,
            count.label("count"),
            func.avg(score).label("mean"),
            (func.var_pop(score) * count).label("m2"),
            cast(func.count().filter(score > PASS_ABOVE), Integer).label("passes"),
            func.sum(decayed(score, age, decay)).label("successes"),
            func.sum(decayed(1 - score, age, decay)).label("failures"),
            seen.c.newest.label("evidence_version"),
        )
        .group_by(seen.c.run_id, seen.c.prompt_id, seen.c.route, seen.c.newest)
        .order_by(seen.c.run_id, seen.c.prompt_id, seen.c.route)
    )
    statement = insert(PromptStats).from_select([column.name for column in batch.selected_columns], batch)
    return statement.on_conflict_do_update(
        index_elements=["run_id", "prompt_id", "route"], set_=_merged(statement, decay) | {"updated_at": func.now()}
    )


def _merged(statement: Insert, decay: float) -> dict[str, Any]:
    """The statistics before (`PromptStats`) and those of the batch (`excluded`), as one."""
    before, batch = PromptStats, statement.excluded
    count = before.count + batch.count
    share = cast(batch.count, Float) / cast(count, Float)
    difference = batch.mean - before.mean
    delta = case((func.abs(difference) < _NOTHING, 0.0), else_=difference)
    version = func.greatest(before.evidence_version, batch.evidence_version)
    evidence = {
        name: decayed(getattr(before, name), version - before.evidence_version, decay)
        + decayed(batch[name], version - batch.evidence_version, decay)
        for name in ("successes", "failures")
    }
    return evidence | {
        "count": count,
        "mean": before.mean + delta * share,
        "m2": before.m2 + batch.m2 + delta * delta * before.count * share,
        "passes": before.passes + batch.passes,
        "evidence_version": version,
    }
