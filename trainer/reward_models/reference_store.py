"""Prompts that have no reference, and the references that were picked for them, in Postgres.

Invariants
- A prompt that has something to be judged by keeps it: a reference is written only where there is none, in one
  transaction with what it came from. Picking twice is therefore the same as once.
- A reference enters the prompt's question, so tickets that are made from then on carry it.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from infra.db.models import Group, Prompt, PromptReference, Score
from streams.messages import Outcome, Question
from streams.route_headers import judgeable
from trainer.reward_models.pick_references import ScoredResponse, pick_references

_BATCH = 256
"""Groups that are read at a time, with all their responses."""


@dataclass(frozen=True, slots=True)
class PickSettings:
    keep: int
    """References per prompt."""
    policy: str
    """Digest of the weights that wrote the responses."""
    max_new_tokens: Callable[[str], int]
    """Token limit of a domain's responses."""


@dataclass(frozen=True, slots=True)
class Picked:
    picked: int = 0
    """Prompts that got references now."""
    without_content: int = 0
    """Prompts none of whose responses has content."""


def open_prompts(connection: Connection, domains: Sequence[str] = (), limit: int = 0) -> list[str]:
    """Ids of the prompts that nothing can score yet, in order; of all domains if none is named, all if `limit` is 0."""
    query = select(Prompt.id).where(Prompt.route.is_(None), Prompt.quarantined.is_(None)).order_by(Prompt.id)
    if domains:
        query = query.where(Prompt.domain.in_(domains))
    return list(connection.scalars(query.limit(limit) if limit else query))


def pick_measured(connection: Connection, run_id: str, label: str, settings: PickSettings) -> Picked:
    """Picks references for the prompts of the run's measured groups that have none."""
    measured = (Group.run_id == run_id, Group.label == label, Group.outcome == Outcome.FILTERED)
    query = select(Group.group_id, Prompt.id).join(Prompt, Prompt.id == Group.prompt_id)
    query = query.where(*measured, Prompt.route.is_(None))
    prompts: dict[str, str] = {prompt_id: group for group, prompt_id in connection.execute(query.order_by(Group.seq))}
    found = Picked()
    ids = sorted(prompts)
    for start in range(0, len(ids), _BATCH):
        one = _pick_batch(connection, run_id, {i: prompts[i] for i in ids[start : start + _BATCH]}, settings)
        found = Picked(found.picked + one.picked, found.without_content + one.without_content)
    return found


def _pick_batch(connection: Connection, run_id: str, groups: dict[str, str], settings: PickSettings) -> Picked:
    """`groups`: prompt id -> group id. The prompts are locked in the order of their ids."""
    rows = connection.execute(
        select(Prompt.id, Prompt.domain, Prompt.question)
        .where(Prompt.id.in_(groups))
        .order_by(Prompt.id)
        .with_for_update()
    ).all()
    responses = _responses(connection, list(groups.values()))
    changed: list[dict[str, Any]] = []
    origins: list[dict[str, Any]] = []
    empty = 0
    for row in rows:
        question = msgspec.convert(row.question, Question)
        if question.verifier is not None or judgeable(question):
            continue  # it got a scorer meanwhile
        own, limit = responses.get(groups[row.id], []), settings.max_new_tokens(row.domain)
        best = pick_references(question.prompt, [_scored(one, limit) for one in own], settings.keep)
        if not best:
            empty += 1
            continue
        new = msgspec.structs.replace(question, references=tuple(one.text.strip() for one in best))
        changed.append({"_id": row.id, "_question": msgspec.to_builtins(new)})
        scorers = {one.rollout_id: (one.scorer, one.scorer_version) for one in own}
        origins += [
            {
                "prompt_id": row.id,
                "rank": rank,
                "text": one.text.strip(),
                "score": one.score,
                "scorer": scorers[one.response_id][0],
                "scorer_version": scorers[one.response_id][1],
                "policy": settings.policy,
                "run_id": run_id,
                "rollout_id": one.response_id,
                "responses": len(own),
            }
            for rank, one in enumerate(best)
        ]
    _write(connection, changed, origins)
    return Picked(len(changed), empty)


def _write(connection: Connection, changed: list[dict[str, Any]], origins: list[dict[str, Any]]) -> None:
    if not changed:
        return
    connection.execute(
        update(Prompt.__table__)  # type: ignore[arg-type]  # a declarative class's table is a Table
        .where(Prompt.id == bindparam("_id"))
        .values(question=bindparam("_question", type_=Prompt.question.type)),
        changed,
    )
    statement = insert(PromptReference)
    written = {name: statement.excluded[name] for name in origins[0] if name not in {"prompt_id", "rank"}}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["prompt_id", "rank"], set_=written),
        origins,
    )


def _responses(connection: Connection, groups: Sequence[str]) -> dict[str, list[Any]]:
    """The scored responses of each group, one row per response: its first verdict."""
    query = (
        select(
            Score.group_id,
            Score.rollout_id,
            Score.text,
            Score.score,
            Score.scorer,
            Score.scorer_version,
            Score.response_tokens,
        )
        .where(Score.group_id.in_(groups), Score.score.is_not(None), Score.text.is_not(None), ~Score.shadow)
        .distinct(Score.rollout_id)
        .order_by(Score.rollout_id, Score.scored_at)
    )
    found: dict[str, list[Any]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.group_id].append(row)
    return found


def _scored(row: Any, limit: int) -> ScoredResponse:
    return ScoredResponse(row.rollout_id, row.text, row.score, cut_off=row.response_tokens >= limit)
