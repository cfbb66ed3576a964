"""The contents that an audit compares: each row of `scores` with the log's verdict, and statistics with their rows.

Invariant: rows are read through a cursor of the server, a batch at a time, so their number costs no memory.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Engine, and_, distinct, func, select

from infra.db.models import PromptStats, Score
from infra.db.rescores import RESCORED
from streams.messages import Status

_BATCH = 2000
"""Rows per round trip."""

VerdictKey = tuple[str, str, str, str]
"""Rollout id, route, scorer, scorer's version: the key of a row of `scores`."""


class Found(NamedTuple):
    """What a verdict says, in the log or in a row."""

    score: float | None
    status: str


class AuditedScore(NamedTuple):
    """A row of `scores`."""

    group_id: str
    key: VerdictKey
    found: Found


Difference = tuple[str, str, str]
"""Kind of violation, group, detail."""


def compare_score(row: AuditedScore, logged: Sequence[Found]) -> Iterator[Difference]:
    """Compares a row with the log's verdict of its key, or with one of them if no order says which came first.
    `logged`: the verdicts of its key in the log.
    """
    group, key, found = row
    what = f"row of {key[0]} by {key[2]} ({key[1]})"
    if (found.score is None) != (found.status == Status.INFRA_ERROR.value):
        yield "score_of_infra_error", group, f"{what}: {found.status} with score {found.score}"
    if not logged:
        yield "row_without_verdict", group, f"{what}: no such verdict in the log"
    elif found not in logged:
        in_log = " or ".join(f"{each.status} {each.score}" for each in logged)
        yield "score_differs", group, f"{what}: {found.status} {found.score} in Postgres, {in_log} in the log"


def score_rows(engine: Engine, run_id: str) -> Iterator[AuditedScore]:
    """The run's rows without those of a rescore, in no order."""
    key = (Score.rollout_id, Score.route, Score.scorer, Score.scorer_version)
    query = select(Score.group_id, *key, Score.score, Score.status).where(
        Score.run_id == run_id, Score.route != RESCORED
    )
    with engine.connect() as connection:
        for row in connection.execution_options(yield_per=_BATCH).execute(query):
            yield AuditedScore(row[0], (row[1], row[2], row[3], row[4]), Found(row[5], row[6]))


def differing_statistics(connection: Connection, run_id: str) -> list[Difference]:
    """The prompts whose statistics do not count the rollouts that have a row with a score, each once per route: a
    rollout that was scored again by an update of its scorer has two rows.
    """
    counted = (
        select(Score.prompt_id, Score.route, func.count(distinct(Score.rollout_id)).label("scores"))
        .where(Score.run_id == run_id, Score.route != RESCORED, Score.score.is_not(None))
        .group_by(Score.prompt_id, Score.route)
        .subquery()
    )
    same = and_(PromptStats.prompt_id == counted.c.prompt_id, PromptStats.route == counted.c.route)
    scores = func.coalesce(counted.c.scores, 0)
    query = (
        select(PromptStats.prompt_id, PromptStats.route, PromptStats.count, scores)
        .outerjoin(counted, same)
        .where(PromptStats.run_id == run_id, PromptStats.count != scores)
    )
    return [
        ("statistics_differ", prompt, f"statistics on route {route} count {count} scores of {rows}")
        for prompt, route, count, rows in connection.execute(query)
    ]
