"""Reads the rounds of Pre-PPO, the newest one's decisions, and the shares of the domains.

Invariant: decisions are counted and ranked in the database; at most `MOST_RANKED` prompts from each end leave it.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, case, func, select

from infra.db.models import Group, Prompt, Selection, SelectionCut, SelectionRound
from infra.page.models.rows import excerpt
from infra.page.models.selection import (
    MOST_ROUNDS,
    CutLine,
    GroupTally,
    RankedPrompt,
    ReasonLine,
    RoundLine,
    SelectionView,
    meaning_of,
    rule_of,
    share_trend,
    shares_of,
)
from infra.page.models.trend import MOST_POINTS
from infra.page.readers.shown_run import ShownRun

MOST_RANKED = 12
"""Prompts from each end of the order: a table of them is read at a glance."""
_POINTS = MOST_POINTS // 4
"""Versions of the curve of shares: it has a point for each domain, asked and trained."""


def read_selection(run: ShownRun) -> SelectionView:
    shares = run.settings.selector.domain_shares
    with run.engine.connect() as connection:
        rounds = _rounds(connection, run.run_id)
        newest = rounds[0].round if rounds else -1
        reasons = _reasons(connection, run.run_id, newest)
        most = _ranked(connection, run.run_id, newest, Selection.value.asc())
        least = _ranked(connection, run.run_id, newest, Selection.value.desc())
        tallies = _tallies(connection, run.run_id)
    return SelectionView(
        enabled=run.settings.selector.preppo.enabled,
        rounds=rounds,
        reasons=reasons,
        most=most,
        least=[one for one in least if one.prompt_id not in {first.prompt_id for first in most}],
        quarantined=sum(line.prompts for line in reasons if line.reason == "quarantined"),
        shares=shares_of(tallies, shares),
        trend=share_trend(tallies, shares, _POINTS),
    )


def _rounds(connection: Connection, run_id: str) -> list[RoundLine]:
    query = select(SelectionRound.__table__).where(SelectionRound.run_id == run_id)
    rows = connection.execute(query.order_by(SelectionRound.round.desc()).limit(MOST_ROUNDS)).all()
    cuts: dict[int, list[CutLine]] = defaultdict(list)
    stored = select(SelectionCut.__table__).where(
        SelectionCut.run_id == run_id, SelectionCut.round.in_([row.round for row in rows])
    )
    for row in connection.execute(stored.order_by(SelectionCut.domain, SelectionCut.rule)) if rows else ():
        cuts[row.round].append(
            CutLine(rule=row.rule, domain=row.domain, candidates=row.candidates, kept=row.kept, cut=row.cut)
        )
    return [_round(row, cuts[row.round]) for row in rows]


def _round(row: Any, cuts: Sequence[CutLine]) -> RoundLine:
    rule, keep_share = rule_of(row.settings or {})
    return RoundLine(
        round=row.round, version=row.version, at=row.created_at, rule=rule, keep_share=keep_share, cuts=cuts
    )


def _reasons(connection: Connection, run_id: str, newest: int) -> list[ReasonLine]:
    key = (Prompt.domain, Selection.selected, Selection.reason)
    mean = func.avg(Selection.a / (Selection.a + Selection.b)).label("mean")
    query = (
        select(*key, func.count().label("prompts"), mean)
        .join(Selection, Selection.prompt_number == Prompt.number)
        .where(Selection.run_id == run_id, Selection.round == newest)
        .group_by(*key)
        .order_by(Prompt.domain, Selection.selected.desc(), func.count().desc(), Selection.reason)
    )
    return [
        ReasonLine(
            domain=row.domain,
            selected=row.selected,
            reason=row.reason,
            means=meaning_of(row.reason, selected=row.selected),
            prompts=row.prompts,
            mean=row.mean,
        )
        for row in connection.execute(query)
    ]


def _ranked(connection: Connection, run_id: str, newest: int, order: Any) -> list[RankedPrompt]:
    """The first of the prompts that the round ranked, in this order."""
    columns = (Selection.selected, Selection.rule, Selection.value, Selection.a, Selection.b, Selection.scores)
    query = (
        select(*columns, Prompt.id, Prompt.domain, Prompt.question["prompt"].astext.label("prompt"))
        .join(Prompt, Prompt.number == Selection.prompt_number)
        .where(Selection.run_id == run_id, Selection.round == newest, Selection.value.is_not(None))
        .order_by(order, Prompt.number)
        .limit(MOST_RANKED)
    )
    return [
        RankedPrompt(
            prompt_id=row.id,
            prompt=excerpt(row.prompt or ""),
            domain=row.domain,
            selected=row.selected,
            rule=row.rule or "",
            value=row.value,
            a=row.a,
            b=row.b,
            scores=row.scores,
        )
        for row in connection.execute(query)
    ]


def _tallies(connection: Connection, run_id: str) -> list[GroupTally]:
    trained = case((Group.outcome == "trained", Group.closed_version)).label("trained_version")
    key = (Prompt.domain, Group.dispatched_version, trained)
    query = (
        select(*key, func.count().label("groups"))
        .join(Prompt, Prompt.id == Group.prompt_id)
        .where(Group.run_id == run_id, Group.purpose == "train")
        .group_by(*key)
    )
    return [
        GroupTally(
            domain=row.domain,
            dispatched_version=row.dispatched_version,
            trained_version=row.trained_version,
            groups=row.groups,
        )
        for row in connection.execute(query)
    ]
