"""Reads a run back from Postgres for `prompts simulate`: what each round knew, what other rules would have selected
then, and what became of the groups.

Invariants
- The rows of `scores`, `groups`, `prompts` and `selection_rounds` suffice. Nothing is written except for a temporary
  table.
- A rule sees the statistics as of a round: the scores that were given before it, counted one by one as the sink counts
  them. It selects by the statement that a live round runs.
- A group belongs to the last round before its dispatch.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from statistics import fmean, pstdev
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    MetaData,
    Table,
    and_,
    any_,
    bindparam,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert

from infra.db.json_rows import encode_rows, rows_of_parameter
from infra.db.models import Group, Prompt, PromptStats, Score, Selection, SelectionRound
from infra.db.rescores import RESCORED
from infra.db.statistics import Running
from infra.settings.tree import Settings
from streams.messages import Purpose
from trainer.curriculum.prompt_pool import train_pool
from trainer.curriculum.selection import set_planning
from trainer.curriculum.selection_plan import SelectionPlan
from trainer.curriculum.selection_query import round_query
from trainer.curriculum.simulate import Cell, RecordedGroup, RuleChoice

_ROWS_AT_A_TIME = 10_000
"""Scores in memory while they are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRound:
    round: int
    version: int
    created_at: datetime
    plan: SelectionPlan
    selected: int
    """Prompts that the run selected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    rounds: list[RecordedRound]
    groups: list[RecordedGroup]
    sent: dict[Cell, int]

    @property
    def drew_at_random(self) -> bool:
        """Whether every selection of the run was independent of the scores: then its groups are a random sample."""
        plans = [recorded.plan for recorded in self.rounds]
        return all(not plan.preppo.enabled or {rule.name for rule in plan.rules} == {"uniform"} for plan in plans)


class NothingRecordedError(ValueError):
    """The run has no selection, so there is nothing to compare rules with."""


def read_recorded_run(connection: Connection, settings: Settings) -> RecordedRun:
    """Raises NothingRecordedError, SelectionRuleError."""
    run_id = settings.run.id
    rounds = _rounds(connection, settings)
    if not rounds:
        raise NothingRecordedError(f"run {run_id} has made no selection yet: there is nothing to compare rules with")
    groups, sent = _groups(connection, run_id, rounds, settings.learner.zero_variance_std)
    return RecordedRun(rounds=rounds, groups=groups, sent=sent)


def choices_of_rules(
    connection: Connection, run_id: str, recorded: RecordedRun, preppo: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[RuleChoice]]:
    """What each rule would have selected in each round. `preppo`: name for the rule -> the settings `selector.preppo`
    that differ from the run's. Raises SelectionRuleError, pydantic's ValidationError.
    """
    replayed = _make_replayed(connection)
    set_planning(connection)
    found: dict[str, list[RuleChoice]] = {name: [] for name in preppo}
    for at, evidence in zip(recorded.rounds, _evidence(connection, run_id, recorded.rounds), strict=True):
        _store(connection, replayed, evidence)
        seen = {group.prompt for group in recorded.groups if group.round == at.round}
        for name, changes in preppo.items():
            found[name] += _choices(connection, run_id, replayed, _changed(at, changes), seen)
    return found


def _rounds(connection: Connection, settings: Settings) -> list[RecordedRound]:
    kept = (
        select(func.count())
        .where(Selection.run_id == SelectionRound.run_id, Selection.round == SelectionRound.round, Selection.selected)
        .scalar_subquery()
    )
    rows = connection.execute(
        select(SelectionRound, kept.label("selected"))
        .where(SelectionRound.run_id == settings.run.id)
        .order_by(SelectionRound.round)
    )
    return [
        RecordedRound(
            round=row.round,
            version=row.version,
            created_at=row.created_at,
            plan=SelectionPlan.stored(row.settings, row.round, row.version)
            if row.settings
            else SelectionPlan.of(settings, row.round, row.version),
            selected=row.selected,
        )
        for row in rows
    ]


def _groups(
    connection: Connection, run_id: str, rounds: Sequence[RecordedRound], zero_variance_std: float
) -> tuple[list[RecordedGroup], dict[Cell, int]]:
    own = and_(Group.run_id == run_id, Group.purpose == Purpose.TRAIN)
    first = (
        select(Score.rollout_id, Score.group_id, Score.score)
        .join(Group, and_(Group.group_id == Score.group_id, own))
        .where(~Score.shadow)
        .distinct(Score.rollout_id)
        .order_by(Score.rollout_id, Score.scored_at)
        .subquery()
    )
    rows = connection.execute(
        select(
            Group.seq, Group.samples, Group.dispatched_at, Prompt.number, Prompt.domain, func.array_agg(first.c.score)
        )
        .join(Prompt, Prompt.id == Group.prompt_id)
        .outerjoin(first, first.c.group_id == Group.group_id)
        .where(own)
        .group_by(Group.seq, Group.samples, Group.dispatched_at, Prompt.number, Prompt.domain)
        .order_by(Group.seq)
    )
    groups: list[RecordedGroup] = []
    sent: Counter[Cell] = Counter()
    for _, samples, dispatched_at, number, domain, values in rows:
        at = max((r.round for r in rounds if r.created_at <= dispatched_at), default=rounds[0].round)
        sent[at, domain] += 1
        scores = [score for score in values if score is not None]
        if len(scores) == samples:
            spread = pstdev(scores) >= zero_variance_std
            groups.append(RecordedGroup(round=at, domain=domain, prompt=number, spread=spread, reward=fmean(scores)))
    return groups, dict(sent)


def _make_replayed(connection: Connection) -> Table:
    """An empty table of statistics, which ends with the transaction."""
    name = "replayed_stats"
    connection.execute(text(f"CREATE TEMPORARY TABLE {name} (LIKE prompt_stats INCLUDING ALL) ON COMMIT DROP"))
    table: Table = PromptStats.__table__.to_metadata(MetaData(), name=name)  # type: ignore[attr-defined]  # is a Table
    return table


def _evidence(
    connection: Connection, run_id: str, rounds: Sequence[RecordedRound]
) -> list[dict[tuple[str, str], Running]]:
    """For each round, the statistics by (prompt, route) that changed since the round before."""
    query = (
        select(Score.prompt_id, Score.route, Score.score, Score.policy_version, Score.scored_at)
        .where(Score.run_id == run_id, Score.route != RESCORED, Score.score.is_not(None))
        .where(Score.scored_at <= rounds[-1].created_at)
        .order_by(Score.scored_at, Score.rollout_id)
    )
    running: dict[tuple[str, str], Running] = defaultdict(Running)
    changed: list[dict[tuple[str, str], Running]] = [{} for _ in rounds]
    at = 0
    for prompt_id, route, score, version, scored_at in connection.execute(
        query, execution_options={"yield_per": _ROWS_AT_A_TIME}
    ):
        while scored_at > rounds[at].created_at:
            at += 1
        assert score is not None  # the query leaves them out
        key = prompt_id, route
        running[key] = changed[at][key] = running[key].add(score, version, rounds[at].plan.decay)
    return changed


def _store(connection: Connection, replayed: Table, changed: Mapping[tuple[str, str], Running]) -> None:
    columns = ["run_id", "prompt_id", "route", *asdict(Running())]
    statement = insert(replayed).from_select(columns, rows_of_parameter(PromptStats, columns, "statistics"))
    values = {name: statement.excluded[name] for name in columns[3:]}
    statement = statement.on_conflict_do_update(index_elements=columns[:3], set_=values)
    rows = [
        {"run_id": "", "prompt_id": prompt_id, "route": route} | asdict(value)
        for (prompt_id, route), value in changed.items()
    ]
    for start in range(0, len(rows), _ROWS_AT_A_TIME):
        connection.execute(statement, {"statistics": encode_rows(rows[start : start + _ROWS_AT_A_TIME])})


def _changed(at: RecordedRound, changes: Mapping[str, Any]) -> SelectionPlan:
    values = at.plan.as_json()
    return SelectionPlan.stored(values | {"preppo": values["preppo"] | changes}, at.round, at.version)


def _choices(
    connection: Connection, run_id: str, replayed: Table, plan: SelectionPlan, seen: set[int]
) -> list[RuleChoice]:
    pool = train_pool(connection, run_id).subquery("pool")
    columns = [column for column in replayed.c if column.name not in ("run_id", "updated_at")]
    decisions = round_query(pool, select(*columns).subquery("statistics"), plan).decisions.subquery("decisions")
    recorded = func.array_agg(Prompt.number).filter(Prompt.number == any_(bindparam("seen", type_=ARRAY(BigInteger))))
    rows = connection.execute(
        select(Prompt.domain, func.count(), recorded)
        .join(decisions, decisions.c.number == Prompt.number)
        .where(decisions.c.selected)
        .group_by(Prompt.domain),
        {"seen": list(seen)},
    )
    round_ = plan.context.round
    return [
        RuleChoice(round=round_, domain=domain, selected=count, recorded=frozenset(numbers or ()))
        for domain, count, numbers in rows
    ]
