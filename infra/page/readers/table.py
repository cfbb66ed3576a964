"""Reads one page of the table of rollouts.

Invariant: whatever the filter, at most `PAGE_ROWS` rows leave the database, and at most `COUNT_BOUND` are counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import InstrumentedAttribute

from infra.db.models import Group, Prompt, Score
from infra.page.models.rows import TablePage, TableRow, excerpt
from infra.page.readers.shown_run import ShownRun

PAGE_ROWS = 50
"""Rows of a page: two screens."""
COUNT_BOUND = 10_000
"""Rows up to which a filter's finds are counted; beyond, the exact number costs more than it tells."""
_MOST_PAGES = 200
"""Pages that can be turned to: beyond, a filter finds rows faster than turning does."""
_IN_GROUP = func.length(Score.rollout_id), Score.rollout_id
"""The order of the samples: within a group, ids differ by a number at their end."""
SORTS: Mapping[str, tuple[ColumnElement[Any] | InstrumentedAttribute[Any], ...]] = {
    "newest": (Group.seq.desc(), *_IN_GROUP),
    "oldest": (Group.seq.asc(), *_IN_GROUP),
    "best": (Score.score.desc().nulls_last(), Group.seq.desc(), *_IN_GROUP),
    "worst": (Score.score.asc().nulls_last(), Group.seq.desc(), *_IN_GROUP),
    "longest": (Score.response_tokens.desc(), Group.seq.desc(), *_IN_GROUP),
    "shortest": (Score.response_tokens.asc(), Group.seq.desc(), *_IN_GROUP),
}
SCORES: Mapping[str, ColumnElement[bool]] = {
    "zero": Score.score <= 0,
    "between": (Score.score > 0) & (Score.score < 1),
    "one": Score.score >= 1,
    "none": Score.score.is_(None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableQuery:
    """Empty texts do not filter."""

    page: int = 0
    sort: str = "newest"
    purpose: str = ""
    domain: str = ""
    route: str = ""
    status: str = ""
    outcome: str = ""
    score: str = ""
    version: int | None = None
    text: str = ""


def read_table(run: ShownRun, query: TableQuery, domains: Sequence[str]) -> TablePage:
    """Raises ValueError if the query names a sort, a score or a page that there is not."""
    if query.sort not in SORTS:
        raise ValueError(f"sort={query.sort!r}: it is one of {', '.join(SORTS)}")
    if not 0 <= query.page < _MOST_PAGES:
        raise ValueError(f"page={query.page}: it is 0 to {_MOST_PAGES - 1}; a filter leads further")
    conditions = _conditions(run, query)
    statement = _rows().where(*conditions).order_by(*SORTS[query.sort])
    statement = statement.offset(query.page * PAGE_ROWS).limit(PAGE_ROWS + 1)
    some = select(Score.rollout_id).join(Group, Group.group_id == Score.group_id).where(*conditions).limit(COUNT_BOUND)
    with run.engine.connect() as connection:
        rows = connection.execute(statement).all()
        counted = connection.scalar(select(func.count()).select_from(some.subquery())) or 0
    return TablePage(
        rows=[_row(row) for row in rows[:PAGE_ROWS]],
        page=query.page,
        more=len(rows) > PAGE_ROWS,
        counted=counted,
        bound=COUNT_BOUND,
        domains=domains,
    )


def _rows() -> Select[Any]:
    return (
        select(
            Score.__table__,
            Group.seq,
            Group.label,
            Group.outcome,
            Group.reason,
            Prompt.question["prompt"].astext.label("prompt"),
            Prompt.question["ground_truth"].astext.label("expected"),
        )
        .join(Group, Group.group_id == Score.group_id)
        .join(Prompt, Prompt.id == Group.prompt_id)
    )


def _conditions(run: ShownRun, query: TableQuery) -> list[ColumnElement[bool]]:
    conditions = [Group.run_id == run.run_id, ~Score.shadow]
    equal = {
        Group.purpose: query.purpose,
        Score.domain: query.domain,
        Score.route: query.route,
        Score.status: query.status,
    }
    conditions += [column == value for column, value in equal.items() if value]
    if query.outcome:
        conditions.append(Group.outcome.is_(None) if query.outcome == "open" else Group.outcome == query.outcome)
    if query.version is not None:
        conditions.append(Score.policy_version == query.version)
    if query.score:
        if query.score not in SCORES:
            raise ValueError(f"score={query.score!r}: it is one of {', '.join(SCORES)}")
        conditions.append(SCORES[query.score])
    if query.text:
        conditions.append(Score.text.icontains(query.text, autoescape=True))
    return conditions


def _row(row: Any) -> TableRow:
    return TableRow(
        seq=row.seq,
        index=int(row.rollout_id.rpartition("/")[2]),
        domain=row.domain,
        purpose=row.purpose,
        label=row.label,
        route=row.route,
        scorer=row.scorer,
        version=row.policy_version,
        score=row.score,
        status=row.status,
        outcome=row.outcome,
        reason=row.reason,
        tokens=row.response_tokens,
        answer=None if row.answer is None else excerpt(row.answer, 60),
        expected=None if row.expected is None else excerpt(row.expected, 60),
        prompt=excerpt(row.prompt or "", 80),
        text=None if row.text is None else excerpt(row.text),
    )
