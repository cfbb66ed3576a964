"""The scores of training responses by version: how many passed, and the entropy of the policy that made them.

Invariant: a row of `scores` counts once, and shadow scores do not count. The cost is one pass over the run's rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from infra.db.statistics import PASS_ABOVE

_BY_VERSION = text(f"""
SELECT policy_version, route, domain, count(*) AS responses,
       avg((score > {PASS_ABOVE})::int) AS passed,
       sum(surprisal * response_tokens)
           / nullif(sum(response_tokens) FILTER (WHERE surprisal IS NOT NULL), 0) AS entropy
FROM scores
WHERE run_id = :run_id AND purpose = 'train' AND NOT shadow AND score IS NOT NULL
GROUP BY policy_version, route, domain
ORDER BY policy_version, route, domain
""")  # noqa: S608 (a constant of this project)


@dataclass(frozen=True, slots=True)
class TrainingScores:
    """The training responses of one version, route and domain."""

    version: int
    route: str
    domain: str
    responses: int
    passed: float
    """Fraction with a score above 0.5."""
    entropy: float | None
    """Estimated entropy of the policy, in nats per token; None if no response has log-probabilities."""


def read_training_scores(connection: Connection, run_id: str) -> Sequence[TrainingScores]:
    """Rows in the order of version, route and domain."""
    return [
        TrainingScores(
            row.policy_version,
            row.route,
            row.domain,
            row.responses,
            float(row.passed),
            None if row.entropy is None else float(row.entropy),
        )
        for row in connection.execute(_BY_VERSION, {"run_id": run_id})
    ]
