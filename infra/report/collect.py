"""Reads a run from Postgres once, for summary and report.

Invariant: reads only, and one row per rollout: shadow scores of the other route are left out, so that only the score
that set the reward counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, Executable, func, select
from sqlalchemy.orm import Session

from infra.advice.measures import Measures, read_measures
from infra.db.calibration import Calibration, read_calibration
from infra.db.models import EvaluatedModel, Evaluation, Group, Prompt, Run, Score, Selection, SelectionRound
from infra.db.second_scores import Exploitation, read_exploitation
from infra.db.training_scores import TrainingScores, read_training_scores
from infra.settings.domain_shares import DomainShare
from infra.settings.evaluation import EvaluationSettings
from infra.settings.tree import Settings
from trainer.guard.guard_rows import read_checks

BEFORE, AFTER = "before", "after"
_MOST_QUARANTINED = 12
_ADVICE_GROUPS = 512
"""Groups from whose scores the report's advice follows: a whole small run, the latest part of a large one."""
_SHARES: TypeAdapter[dict[str, DomainShare]] = TypeAdapter(dict[str, DomainShare])


@dataclass(frozen=True, slots=True)
class GroupRow:
    seq: int
    prompt_id: str
    domain: str
    purpose: str
    label: str
    outcome: str | None
    reason: str | None
    staleness: int | None
    version: int | None
    mean_score: float | None
    dispatched_at: datetime
    closed_at: datetime | None
    dispatched_version: int = 0


@dataclass(frozen=True, slots=True)
class Response:
    """One scored rollout; `score` is None if the scorer could not answer."""

    rollout_id: str
    prompt_id: str
    domain: str
    purpose: str
    label: str
    outcome: str | None
    score: float | None
    status: str
    why: str
    text: str | None
    """None if only the log has it."""
    tokens: int
    scorer: str
    skill: str | None = None
    """Skill of the prompt, or of its domain; None if neither has one."""


@dataclass(frozen=True, slots=True)
class SelectionKind:
    """Prompts of the last selection round that share their decision."""

    domain: str
    origin: str
    selected: bool
    reason: str
    """A `trainer.curriculum.decisions.Reason`."""
    prompts: int
    mean: float | None
    """Mean over those that were measured of the expected score under the posterior."""


@dataclass(frozen=True, slots=True)
class QuarantinedPrompt:
    text: str
    domain: str
    why: str


@dataclass(frozen=True, slots=True)
class SelectionSummary:
    rounds: int = 0
    kinds: tuple[SelectionKind, ...] = ()
    quarantined: tuple[QuarantinedPrompt, ...] = ()
    """The first ones by id."""


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """The held-out result of a domain, or of `overall`. `label`: `before` or `after` training, or e.g. `v12` for
    version 12 while training continued.
    """

    label: str
    domain: str
    version: int
    prompts: int
    mean: float
    low: float | None = None
    """`low` and `high` are the ends of the mean's 95 % interval; None if an older version evaluated."""
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HackingRecord:
    """What Postgres holds of the watch."""

    checks: Sequence[Any] = ()
    """Rows of `guard_checks`, oldest first."""
    exploitation: Sequence[Exploitation] = ()
    training: Sequence[TrainingScores] = ()
    action: str = "warn"
    """`selector.guard.action` of the run."""


@dataclass(frozen=True, slots=True)
class EvaluatedVersion:
    """A result of `rewardstream evaluate` on a version of the run."""

    run_id: str
    """Id of the run that evaluated it."""
    lineage: int
    version: int
    domain: str
    prompts: int
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class RunRecord:
    run_id: str
    phase: str
    created_at: datetime
    train_started_at: datetime | None
    finished_at: datetime | None
    groups: tuple[GroupRow, ...]
    responses: tuple[Response, ...]
    selections: SelectionSummary
    prompts: dict[str, str]
    """Prompt id -> last user turn, for the prompts that the run used."""
    calibration: tuple[Calibration, ...] = ()
    evaluations: tuple[EvaluationRow, ...] = ()
    evaluated_versions: tuple[EvaluatedVersion, ...] = ()
    domain_shares: Mapping[str, DomainShare] = field(default_factory=dict)
    """The run's setting `selector.domain_shares`."""
    hacking: HackingRecord = HackingRecord()
    measures: Measures | None = None
    """What advice follows from; None if nobody asked for it."""


def collect(engine: Engine, settings: Settings, folder: Path) -> RunRecord:
    """Reads the run `settings.run.id`, whose folder is `folder`. Raises LookupError if it is not in the database."""
    run_id = settings.run.id
    with Session(engine) as session:
        run = session.get(Run, run_id)
        if run is None:
            raise LookupError(f"run {run_id!r} is not in this database")
        groups = tuple(GroupRow(*row) for row in session.execute(_groups(run_id)))
        responses = _first_scores(session.execute(_scores(run_id)).all(), run.settings.get("evaluation", {}))
        selections = _selections(session, run_id)
        used = select(Group.prompt_id).where(Group.run_id == run_id)
        prompts = session.execute(select(Prompt.id, Prompt.question["prompt"].astext).where(Prompt.id.in_(used)))
        texts = {prompt_id: text for prompt_id, text in prompts}  # noqa: C416 (to dict's type a Row is not a pair)
        calibration = tuple(read_calibration(session.connection(), run_id))
        evaluations = tuple(EvaluationRow(*row) for row in session.execute(_evaluations(run_id)))
        versions = tuple(EvaluatedVersion(*row) for row in session.execute(_evaluated_versions(run_id)))
        hacking = _read_hacking(session.connection(), run_id, run.settings)
        measures = read_measures(session.connection(), settings, folder, window=_ADVICE_GROUPS)
    return RunRecord(
        run_id=run_id,
        phase=run.phase,
        created_at=run.created_at,
        train_started_at=run.train_started_at,
        finished_at=run.finished_at,
        groups=groups,
        responses=responses,
        selections=selections,
        prompts=texts,
        calibration=calibration,
        evaluations=evaluations,
        evaluated_versions=versions,
        domain_shares=_SHARES.validate_python(run.settings.get("selector", {}).get("domain_shares", {})),
        hacking=hacking,
        measures=measures,
    )


def _read_hacking(connection: Connection, run_id: str, settings: Mapping[str, Any]) -> HackingRecord:
    return HackingRecord(
        checks=read_checks(connection, run_id),
        exploitation=read_exploitation(connection, run_id),
        training=read_training_scores(connection, run_id),
        action=settings.get("selector", {}).get("guard", {}).get("action", "off"),
    )


def _groups(run_id: str) -> Executable:
    return (
        select(
            Group.seq,
            Group.prompt_id,
            Prompt.domain,
            Group.purpose,
            Group.label,
            Group.outcome,
            Group.reason,
            Group.staleness,
            Group.closed_version,
            Group.mean_score,
            Group.dispatched_at,
            Group.closed_at,
            Group.dispatched_version,
        )
        .join(Prompt, Prompt.id == Group.prompt_id)
        .where(Group.run_id == run_id)
        .order_by(Group.seq)
    )


def _scores(run_id: str) -> Executable:
    return (
        select(Score, Group.label, Group.outcome, Prompt.skill)
        .join(Group, Group.group_id == Score.group_id)
        .join(Prompt, Prompt.id == Group.prompt_id)
        .where(Score.run_id == run_id, ~Score.shadow)
        .order_by(Score.rollout_id, Score.scored_at)
    )


def _selections(session: Session, run_id: str) -> SelectionSummary:
    """The last round, counted in the database: it has a row per prompt."""
    rounds = select(func.count(), func.max(SelectionRound.round)).where(SelectionRound.run_id == run_id)
    count, last = session.execute(rounds).one()
    of_last = (Selection.run_id == run_id, Selection.round == last)
    key = (Prompt.domain, Prompt.origin, Selection.selected, Selection.reason)
    mean = func.avg(Selection.a / (Selection.a + Selection.b))
    kinds = select(*key, func.count(), mean).join(Selection, Selection.prompt_number == Prompt.number).where(*of_last)
    quarantined = (
        select(Prompt.question["prompt"].astext, Prompt.domain, Prompt.quarantined)
        .join(Selection, Selection.prompt_number == Prompt.number)
        .where(*of_last, Prompt.quarantined.is_not(None))
    )
    return SelectionSummary(
        rounds=count,
        kinds=tuple(SelectionKind(*row) for row in session.execute(kinds.group_by(*key).order_by(*key))),
        quarantined=tuple(
            QuarantinedPrompt(*row) for row in session.execute(quarantined.order_by(Prompt.id).limit(_MOST_QUARANTINED))
        ),
    )


def _evaluations(run_id: str) -> Executable:
    """Leaves out evaluations of versions that belong to an abandoned lineage (label `v12@1`)."""
    names = ("label", "domain", "version", "prompts", "mean", "low", "high")
    return (
        select(*(getattr(Evaluation, name) for name in names))
        .where(Evaluation.run_id == run_id, Evaluation.label.not_like("%@%"))
        .order_by(Evaluation.version, Evaluation.label, Evaluation.domain)
    )


def _evaluated_versions(run_id: str) -> Executable:
    own = ("domain", "prompts", "mean", "low", "high")
    return (
        select(
            EvaluatedModel.run_id,
            EvaluatedModel.lineage,
            EvaluatedModel.version,
            *(getattr(Evaluation, name) for name in own),
        )
        .join(Evaluation, Evaluation.run_id == EvaluatedModel.run_id)
        .where(EvaluatedModel.source_run == run_id)
        .order_by(EvaluatedModel.version, EvaluatedModel.lineage, EvaluatedModel.created_at, Evaluation.domain)
    )


def _first_scores(rows: Sequence[Any], settings: Mapping[str, Any]) -> tuple[Response, ...]:
    """Returns the first score of each rollout. `settings`: the run's `evaluation`, empty if it is older than those."""
    skills = EvaluationSettings(skills=settings.get("skills", {}))
    first: dict[str, Response] = {}
    for score, label, outcome, skill in rows:
        if score.rollout_id in first:
            continue
        first[score.rollout_id] = Response(
            rollout_id=score.rollout_id,
            prompt_id=score.prompt_id,
            domain=score.domain,
            purpose=score.purpose,
            label=label,
            outcome=outcome,
            score=score.score,
            status=score.status,
            why=score.why,
            text=score.text,
            tokens=score.response_tokens,
            scorer=f"{score.scorer} {score.scorer_version}",
            skill=skill or skills.skill_of(score.domain),
        )
    return tuple(first.values())
