"""Reads steps and groups: what a step trained on, a group side by side, and what is open.

Invariant: a query returns at most `MOST_ROWS` groups.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, func, select

from infra.advice.story import GroupStory, UnknownNameError, read_group
from infra.advice.wording import expected_of, meaning_of, rule_of
from infra.db.models import Group, Prompt, Score
from infra.page.models.rows import GroupLine, OpenGroups, OpenLine, StepView, age, excerpt, place_of
from infra.page.readers.shown_run import ShownRun
from infra.page.readers.steps_file import StepsFile
from infra.settings.tree import Settings

MOST_ROWS = 200
"""Groups of one view: a step of a production recipe has 64 to 128."""
SIDE_TEXT = 4000
"""Characters of a response in the group's view: a screenful; the rollout's own view has all of it."""


def read_step(run: ShownRun, steps: StepsFile, version: int) -> StepView:
    """Raises UnknownNameError if the run never came to this version."""
    known = [step.version for step in steps.steps()]
    line = steps.line(version)
    with run.engine.connect() as connection:
        held = (Group.run_id == run.run_id, Group.closed_version == version)
        trained = read_lines(connection, run.run_id, *held, Group.outcome == "trained")
        others = read_lines(connection, run.run_id, *held, Group.outcome != "trained")
    if line is None and not trained and not others:
        raise UnknownNameError(f"run {run.run_id} has no step {version}: its newest is {max(known, default=0)}")
    return StepView(
        version=version,
        numbers=line,
        trained=trained,
        others=others,
        previous=max((one for one in known if one < version), default=None),
        next=min((one for one in known if one > version), default=None),
    )


def read_lines(connection: Connection, run_id: str, *conditions: ColumnElement[bool]) -> list[GroupLine]:
    """The groups of these conditions by `seq`, at most `MOST_ROWS`, with their scores."""
    query = (
        select(Group.__table__, Prompt.domain, Prompt.question["prompt"].astext.label("prompt"))
        .join(Prompt, Prompt.id == Group.prompt_id)
        .where(Group.run_id == run_id, *conditions)
        .order_by(Group.seq)
        .limit(MOST_ROWS)
    )
    rows = connection.execute(query).all()
    scores = scores_of(connection, [row.group_id for row in rows])
    return [_line(row, list(scores[row.group_id].values())) for row in rows]


def scores_of(connection: Connection, groups: Sequence[str]) -> Mapping[str, dict[str, float | None]]:
    """Group -> rollout -> the first score that counts."""
    found: dict[str, dict[str, float | None]] = defaultdict(dict)
    query = (
        select(Score.group_id, Score.rollout_id, Score.score)
        .where(Score.group_id.in_(groups), ~Score.shadow)
        .order_by(Score.rollout_id, Score.scored_at)
    )
    for row in connection.execute(query) if groups else ():
        found[row.group_id].setdefault(row.rollout_id, row.score)
    return defaultdict(dict, {group: dict(sorted(of.items(), key=_by_index)) for group, of in found.items()})


def _by_index(item: tuple[str, float | None]) -> int:
    return int(item[0].rpartition("/")[2])


def _line(row: Row[Any], scores: list[float | None]) -> GroupLine:
    return GroupLine(
        seq=row.seq,
        prompt_id=row.prompt_id,
        prompt=excerpt(row.prompt or ""),
        domain=row.domain,
        purpose=row.purpose,
        label=row.label,
        outcome=row.outcome,
        reason=row.reason,
        version=row.closed_version,
        staleness=row.staleness,
        mean=row.mean_score,
        scores=scores,
    )


def read_group_view(run: ShownRun, seq: int) -> dict[str, Any]:
    """The group side by side as JSON values, with the numbers of its neighbours; texts are cut at `SIDE_TEXT`
    characters. Raises UnknownNameError.
    """
    with run.engine.connect() as connection:
        story = read_group(connection, run.folder, run.settings, seq)
        first, last = connection.execute(
            select(func.min(Group.seq), func.max(Group.seq)).where(Group.run_id == run.run_id)
        ).one()
    values = story_values(story, run.settings)
    for verdict in values["verdicts"]:
        verdict["index"] = int(verdict["rollout_id"].rpartition("/")[2])
        verdict["cut"] = len(verdict["text"] or "") > SIDE_TEXT
        verdict["text"] = verdict["text"] and verdict["text"][:SIDE_TEXT]
    return values | {
        "previous": seq - 1 if seq > first else None,
        "next": seq + 1 if seq < last else None,
    }


def story_values(story: GroupStory, settings: Settings) -> dict[str, Any]:
    """The story, with what was expected, by which rule, and what the ending means."""
    return asdict(story) | {
        "question": msgspec.to_builtins(story.question),
        "expected": expected_of(story.question),
        "rule": rule_of(story.question),
        "means": meaning_of(story, settings),
    }


def read_open(run: ShownRun) -> OpenGroups:
    with run.engine.connect() as connection:
        is_open = (Group.run_id == run.run_id, Group.outcome.is_(None))
        total = connection.scalar(select(func.count()).select_from(Group).where(*is_open)) or 0
        query = (
            select(Group.__table__, Prompt.domain, Prompt.question["prompt"].astext.label("prompt"))
            .add_columns(func.now().label("now"))
            .join(Prompt, Prompt.id == Group.prompt_id)
            .where(*is_open)
            .order_by(Group.seq)
            .limit(MOST_ROWS)
        )
        rows = connection.execute(query).all()
        scores = scores_of(connection, [row.group_id for row in rows])
    return OpenGroups(total=total, groups=[_open(row, len(scores[row.group_id])) for row in rows])


def _open(row: Row[Any], scored: int) -> OpenLine:
    return OpenLine(
        seq=row.seq,
        prompt=excerpt(row.prompt or ""),
        domain=row.domain,
        purpose=row.purpose,
        label=row.label,
        age_seconds=age(row.dispatched_at, row.now),
        left_seconds=-age(row.deadline, row.now),
        dispatched_version=row.dispatched_version,
        samples=row.samples,
        scored=scored,
        place=place_of(row.samples, scored, confirmed=row.confirmed),
    )
