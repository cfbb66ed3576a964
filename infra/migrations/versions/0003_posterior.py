"""Difficulty is a Beta posterior that forgets by versions, counted from the scores themselves.

It replaces the exponentially decayed mean, which gave the first score most of the weight. The upgrade counts the
evidence again from the rows of `scores`, with the default decay of this revision. The downgrade takes the posterior's
mean as the decayed mean and as the last score, which are then approximate.
"""

from collections.abc import Iterable

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_DECAY = 0.98
"""Default of `difficulty.decay_per_version` at this revision."""
_NOTHING_LEFT = 10_000
"""Versions after which a score weighs about 1e-88; a larger exponent would be an underflow error in Postgres."""

_COUNT = """
WITH counted AS (
    SELECT run_id, prompt_id, route, score, policy_version,
           max(policy_version) OVER (PARTITION BY run_id, prompt_id, route) AS newest
    FROM scores
    WHERE score IS NOT NULL
), weighted AS (
    SELECT run_id, prompt_id, route, score, newest,
           power(CAST(:decay AS float), least(newest - policy_version, CAST(:nothing_left AS int))) AS weight
    FROM counted
), evidence AS (
    SELECT run_id, prompt_id, route, newest, sum(weight * score) AS successes, sum(weight * (1 - score)) AS failures
    FROM weighted
    GROUP BY run_id, prompt_id, route, newest
)
UPDATE prompt_stats AS stats
SET successes = evidence.successes, failures = evidence.failures, evidence_version = evidence.newest
FROM evidence
WHERE (stats.run_id, stats.prompt_id, stats.route) = (evidence.run_id, evidence.prompt_id, evidence.route)
"""
_COLUMNS = {"successes": sa.Float, "failures": sa.Float, "evidence_version": sa.Integer}
_FORMER = {"decayed_mean": sa.Float, "last": sa.Float, "last_version": sa.Integer}


def upgrade() -> None:
    for name, type_ in _COLUMNS.items():
        op.add_column("prompt_stats", sa.Column(name, type_(), server_default="0", nullable=False))
    op.execute(sa.text(_COUNT).bindparams(decay=_DECAY, nothing_left=_NOTHING_LEFT))
    _finish(_COLUMNS, _FORMER)


def downgrade() -> None:
    for name, type_ in _FORMER.items():
        op.add_column("prompt_stats", sa.Column(name, type_(), server_default="0", nullable=False))
    op.execute(
        "UPDATE prompt_stats SET decayed_mean = (1 + successes) / (2 + successes + failures),"
        " last = (1 + successes) / (2 + successes + failures), last_version = evidence_version"
    )
    _finish(_FORMER, _COLUMNS)


def _finish(added: Iterable[str], dropped: Iterable[str]) -> None:
    for name in added:
        op.alter_column("prompt_stats", name, server_default=None)
    for name in dropped:
        op.drop_column("prompt_stats", name)
