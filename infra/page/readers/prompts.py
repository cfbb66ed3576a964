"""Reads one prompt: why it was selected, its posterior, and its responses over the versions."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, select

from infra.advice.story import UnknownNameError
from infra.db.models import Group, Score
from infra.page.models.rows import PromptSample, PromptView, RatedText
from infra.page.readers.shown_run import ShownRun
from trainer.curriculum.explain import PromptNotFoundError, explain

_NEWEST = 60
"""Groups of the prompt: one for each of 60 versions shows whether its responses change."""
_TEXT = 600
"""Characters of a response: a paragraph, enough to see the difference."""


def read_prompt(run: ShownRun, prompt_id: str) -> PromptView:
    """Raises UnknownNameError if no prompt, or more than one, has an id that begins so."""
    with run.engine.connect() as connection:
        try:
            story = explain(connection, run.settings, prompt_id)
        except PromptNotFoundError as error:
            raise UnknownNameError(str(error)) from error
        groups = connection.execute(
            select(Group.seq, Group.group_id, Group.purpose, Group.label, Group.dispatched_version, Group.outcome)
            .where(Group.run_id == run.run_id, Group.prompt_id == story.id)
            .order_by(Group.seq.desc())
            .limit(_NEWEST)
        ).all()
        responses = _responses(connection, [group.group_id for group in groups])
    values = asdict(story)
    values["groups"] = len(story.groups)
    return PromptView(
        explanation=values,
        samples=[_sample(group, responses[group.group_id]) for group in reversed(groups)],
    )


def _responses(connection: Connection, groups: Sequence[str]) -> Mapping[str, dict[int, Any]]:
    """Group -> index -> the row of the first score that counts."""
    found: dict[str, dict[int, Any]] = defaultdict(dict)
    query = (
        select(Score.group_id, Score.rollout_id, Score.score, Score.text)
        .where(Score.group_id.in_(groups), ~Score.shadow)
        .order_by(Score.rollout_id, Score.scored_at)
    )
    for row in connection.execute(query) if groups else ():
        found[row.group_id].setdefault(int(row.rollout_id.rpartition("/")[2]), row)
    return found


def _sample(group: Any, responses: Mapping[int, Any]) -> PromptSample:
    rated = [
        RatedText(index=index, score=row.score, text=row.text and row.text[:_TEXT])
        for index, row in sorted(responses.items())
        if row.score is not None
    ]
    best = max(rated, key=lambda one: one.score, default=None)
    worst = min(rated, key=lambda one: one.score, default=None)
    return PromptSample(
        seq=group.seq,
        purpose=group.purpose,
        label=group.label,
        dispatched_version=group.dispatched_version,
        outcome=group.outcome,
        scores=[responses[index].score for index in sorted(responses)],
        best=best,
        worst=worst if worst is not None and best is not None and worst.score < best.score else None,
    )
