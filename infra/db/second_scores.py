"""Responses that two scorers have scored: the one that set the score of the run, and a second one.

Invariant: a response counts once. Its own score is the first that is not marked as a shadow; the second score is that
of the cross-check or of a rescore if there is one, else the other route's shadow score. It is never by the same scorer
in the same version. A score above 0.5 passes, and a verdict without a score does not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from infra.db.rescores import RESCORED
from infra.db.statistics import PASS_ABOVE

_SECOND = f"""
    SELECT other.score, other.scorer || '@' || other.scorer_version AS scorer
    FROM scores AS other
    WHERE other.rollout_id = own.rollout_id AND other.shadow
      AND (other.scorer, other.scorer_version) <> (own.scorer, own.scorer_version)
    ORDER BY other.score IS NULL, other.route <> '{RESCORED}', other.scored_at
    LIMIT 1
"""  # noqa: S608 (a constant of this project)
"""The second verdict on a row `own` of scores."""

_HELDOUT = text(f"""
WITH own AS (
    SELECT DISTINCT ON (scores.rollout_id) scores.*, groups.label
    FROM groups JOIN scores ON scores.group_id = groups.group_id
    WHERE groups.run_id = :run_id AND groups.label = ANY(:labels) AND NOT scores.shadow
    ORDER BY scores.rollout_id, scores.scored_at
)
SELECT own.label, own.domain, own.prompt_id, own.route,
       count(*) AS responses,
       avg((own.score > {PASS_ABOVE})::int) AS passed,
       count(second.score) AS twice,
       avg((own.score > {PASS_ABOVE})::int) FILTER (WHERE second.score IS NOT NULL) AS passed_twice_scored,
       avg((second.score > {PASS_ABOVE})::int) AS passed_by_second,
       string_agg(DISTINCT own.scorer || '@' || own.scorer_version, ',') AS scorers,
       string_agg(DISTINCT second.scorer, ',') AS second_scorers
FROM own LEFT JOIN LATERAL ({_SECOND}) AS second ON true
WHERE own.score IS NOT NULL
GROUP BY own.label, own.domain, own.prompt_id, own.route
ORDER BY own.label, own.domain, own.prompt_id
""")  # noqa: S608 (constants of this project)

_EXPLOITED = text(f"""
WITH twice AS (
    SELECT own.domain, own.route, own.prompt_id, own.policy_version, second.score AS second
    FROM (SELECT DISTINCT rollout_id FROM scores WHERE run_id = :run_id AND shadow) AS marked
    JOIN scores AS own ON own.rollout_id = marked.rollout_id
    CROSS JOIN LATERAL ({_SECOND}) AS second
    WHERE NOT own.shadow AND own.purpose = 'train' AND own.score > {PASS_ABOVE} AND own.policy_version >= :since
)
SELECT twice.policy_version, twice.route, twice.domain,
       count(*) AS newly_credited,
       count(*) FILTER (WHERE twice.second <= {PASS_ABOVE}) AS rejected
FROM twice
CROSS JOIN LATERAL (
    SELECT scores.policy_version, avg(scores.score) AS mean
    FROM groups JOIN scores ON scores.group_id = groups.group_id
    WHERE groups.run_id = :run_id AND groups.prompt_id = twice.prompt_id AND scores.route = twice.route
      AND NOT scores.shadow AND scores.score IS NOT NULL
    GROUP BY scores.policy_version ORDER BY scores.policy_version LIMIT 1
) AS first
WHERE twice.second IS NOT NULL AND first.policy_version < twice.policy_version AND first.mean <= {PASS_ABOVE}
GROUP BY twice.policy_version, twice.route, twice.domain
ORDER BY twice.policy_version, twice.route, twice.domain
""")  # noqa: S608 (constants of this project)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutVerdicts:
    """The verdicts on the responses to one held-out prompt in one evaluation."""

    label: str
    domain: str
    prompt_id: str
    route: str
    """The route that set the score."""
    responses: int
    """Number of responses with a score."""
    passed: float
    """Fraction of them that it passes."""
    twice: int
    """Number of responses with a second score."""
    passed_twice_scored: float | None
    """Fraction of these that the route passes."""
    passed_by_second: float | None
    """Fraction of these that the second scorer passes."""
    scorers: str
    """NAME@VERSION of the route's scorers."""
    second_scorers: str | None


@dataclass(frozen=True, slots=True)
class Exploitation:
    """Verdicts above 0.5 on prompts whose first measured policy failed them (mean score 0.5 or less), as far as a
    second scorer has looked at them; of training responses of one version, route and domain.
    """

    version: int
    route: str
    domain: str
    newly_credited: int
    rejected: int
    """How many of them the second scorer does not pass."""


def read_heldout_verdicts(connection: Connection, run_id: str, labels: Sequence[str]) -> list[HeldOutVerdicts]:
    """Rows in the order of label, domain and prompt. The cost grows with the evaluations' responses only."""
    rows = connection.execute(_HELDOUT, {"run_id": run_id, "labels": list(labels)}).mappings()
    floats = ("passed", "passed_twice_scored", "passed_by_second")
    return [
        HeldOutVerdicts(**row | {name: None if row[name] is None else float(row[name]) for name in floats})
        for row in map(dict, rows)
    ]


def read_exploitation(connection: Connection, run_id: str, since_version: int = 0) -> list[Exploitation]:
    """Rows in the order of version, route and domain. The cost grows with the run's second scores, which the partial
    index finds, and not with its scores.
    """
    rows = connection.execute(_EXPLOITED, {"run_id": run_id, "since": since_version})
    return [Exploitation(*row) for row in rows]
