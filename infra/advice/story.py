"""The story of one rollout, one group or one run: why it was dispatched, what it was given, and what became of it.

Invariant: it reads Postgres and the run's files only, and what is not known is None. What only the log has is added by
the caller (`infra.advice.log_story`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import pstdev
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from infra.db.models import Evaluation, Group, Prompt, Run, Score
from infra.files.run_files import STEPS_FILE
from infra.settings.tree import Settings
from streams.messages import Question
from trainer.curriculum.decisions import explain_prompt


class UnknownNameError(LookupError):
    """Nothing in the run has this name; the text says what there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVerdict:
    """One row of `scores`, or what the log has of it."""

    rollout_id: str
    route: str
    scorer: str
    """NAME@VERSION."""
    score: float | None
    status: str
    why: str
    text: str | None
    """None if only the log has the response."""
    answer: str | None
    """The answer that the verifier read in the response."""
    judged: float | None
    tokens: int
    version: int
    """Newest policy version that made a token of it."""
    seconds: float
    scored_at: datetime
    shadow: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedStep:
    """The learner's step that trained on the group, from its file; None if the line is gone."""

    version: int
    groups: int
    reward: float
    policy_loss: float
    policy_gradient_norm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStory:
    run_id: str
    group_id: str
    prompt_id: str
    domain: str
    prompt: str
    question: Question
    purpose: str
    label: str
    samples: int
    seq: int
    why_dispatched: str
    dispatched_version: int
    dispatched_at: datetime
    deadline: datetime
    limit: int
    """Longest response, in tokens."""
    outcome: str | None
    reason: str | None
    closed_version: int | None
    closed_at: datetime | None
    staleness: int | None
    verdicts: Sequence[StoredVerdict]
    spread: float | None
    """Standard deviation of the scores that count."""
    step: TrainedStep | None

    def of(self, rollout_id: str) -> list[StoredVerdict]:
        """The verdicts on a rollout, the one that counts first."""
        return sorted((one for one in self.verdicts if one.rollout_id == rollout_id), key=lambda one: one.shadow)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStory:
    run_id: str
    phase: str
    created_at: datetime
    finished_at: datetime | None
    trained_seconds: float
    outcomes: Mapping[str, Mapping[str, int]]
    """Purpose -> outcome -> groups."""
    version: int
    """Newest version that a group was trained into."""
    heldout: Mapping[str, float]
    """Label -> mean score over all domains."""


def read_group(connection: Connection, folder: Path, settings: Settings, seq: int) -> GroupStory:
    """Raises UnknownNameError."""
    run_id = settings.run.id
    row = connection.execute(
        select(Group.__table__, Prompt.domain, Prompt.question)
        .join(Prompt, Prompt.id == Group.prompt_id)
        .where(Group.run_id == run_id, Group.seq == seq)
    ).one_or_none()
    if row is None:
        raise UnknownNameError(_no_group(connection, run_id, seq))
    question = msgspec.convert(row.question, Question)
    sampling = settings.rollout.sampling
    verdicts = _verdicts(connection, row.group_id)
    counted: dict[str, float] = {}
    for one in verdicts:
        if not one.shadow and one.score is not None:
            counted.setdefault(one.rollout_id, one.score)
    return GroupStory(
        run_id=run_id,
        group_id=row.group_id,
        prompt_id=row.prompt_id,
        domain=row.domain,
        prompt=question.prompt,
        question=question,
        purpose=row.purpose,
        label=row.label,
        samples=row.samples,
        seq=seq,
        why_dispatched=_why_dispatched(connection, run_id, row),
        dispatched_version=row.dispatched_version,
        dispatched_at=row.dispatched_at,
        deadline=row.deadline,
        limit=sampling.max_new_tokens_by_domain.get(row.domain, sampling.max_new_tokens),
        outcome=row.outcome,
        reason=row.reason,
        closed_version=row.closed_version,
        closed_at=row.closed_at,
        staleness=row.staleness,
        verdicts=verdicts,
        spread=pstdev(counted.values()) if counted else None,
        step=_step(folder, row) if row.outcome == "trained" else None,
    )


def read_run(connection: Connection, run_id: str) -> RunStory:
    """Raises UnknownNameError."""
    run = connection.execute(select(Run.__table__).where(Run.id == run_id)).one_or_none()
    if run is None:
        raise UnknownNameError(f"run {run_id} has no row in its database: its selector never started; its logs say why")
    outcomes: dict[str, dict[str, int]] = {}
    counts = select(Group.purpose, Group.outcome, func.count()).where(Group.run_id == run_id)
    for purpose, outcome, count in connection.execute(counts.group_by(Group.purpose, Group.outcome)):
        outcomes.setdefault(purpose, {})[outcome or "open"] = count
    trained = select(func.max(Group.closed_version)).where(Group.run_id == run_id, Group.outcome == "trained")
    means = select(Evaluation.label, Evaluation.mean).where(
        Evaluation.run_id == run_id, Evaluation.domain == "overall", Evaluation.label.not_like("%@%")
    )
    return RunStory(
        run_id=run_id,
        phase=run.phase,
        created_at=run.created_at,
        finished_at=run.finished_at,
        trained_seconds=run.trained_seconds,
        outcomes=outcomes,
        version=connection.scalar(trained) or 0,
        heldout={label: mean for label, mean in connection.execute(means.order_by(Evaluation.version))},  # noqa: C416 (a Row is not a pair)
    )


def _why_dispatched(connection: Connection, run_id: str, group: Any) -> str:
    if group.purpose == "eval":
        return f"measurement {group.label!r} of the held-out prompts"
    if group.purpose == "assess":
        return "its difficulty is measured before the selection (Pre-PPO)"
    decisions = explain_prompt(connection, run_id, group.prompt_id)
    made = [one for one in decisions if one.version <= group.dispatched_version]
    return f"selection round {made[-1].round}: {made[-1].why}" if made else "no selection has decided on its prompt"


def _verdicts(connection: Connection, group_id: str) -> list[StoredVerdict]:
    rows = connection.execute(
        select(Score.__table__).where(Score.group_id == group_id).order_by(Score.rollout_id, Score.scored_at)
    )
    return [
        StoredVerdict(
            rollout_id=row.rollout_id,
            route=row.route,
            scorer=f"{row.scorer}@{row.scorer_version}",
            score=row.score,
            status=row.status,
            why=row.why,
            text=row.text,
            answer=row.answer,
            judged=row.judged,
            tokens=row.response_tokens,
            version=row.policy_version,
            seconds=row.seconds,
            scored_at=row.scored_at,
            shadow=row.shadow,
        )
        for row in rows
    ]


def _step(folder: Path, group: Any) -> TrainedStep | None:
    file = folder / STEPS_FILE
    if not file.is_file():
        return None
    found: TrainedStep | None = None
    with file.open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                break
            step = json.loads(line)
            if (step["lineage"], step["version"]) == (group.closed_lineage, group.closed_version):
                found = msgspec.convert({name: step[name] for name in TrainedStep.__dataclass_fields__}, TrainedStep)
    return found


def _no_group(connection: Connection, run_id: str, seq: int) -> str:
    last = connection.scalar(select(func.max(Group.seq)).where(Group.run_id == run_id))
    if last is None:
        return f"run {run_id} has dispatched no group yet"
    return f"run {run_id} has no group {run_id}:{seq}: it dispatched {run_id}:0 to {run_id}:{last}"
