"""Everything that is known of one prompt: its scorer and why, every decision on it, every group, its scores by version.

Invariant: it reads only, and it also works before any run: scorer and what will happen first are then known.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import pstdev
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from infra.db.models import Group, Prompt, PromptReference, PromptStats, Score
from infra.db.statistics import posterior
from infra.settings.tree import Settings
from streams.messages import Question
from streams.route_headers import judgeable, shadow_route_of
from trainer.curriculum.decisions import ExplainedDecision, explain_prompt


class PromptNotFoundError(LookupError):
    """No prompt's id, or more than one, begins with the prefix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsOnRoute:
    route: str
    count: int
    mean: float
    passes: int
    a: float
    b: float
    """The posterior Beta(a, b) as of `version`."""
    version: int
    """Newest version of a score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedGroup:
    group_id: str
    purpose: str
    label: str
    dispatched_version: int
    outcome: str | None
    """None while it is open."""
    reason: str | None
    closed_version: int | None
    scores: list[float | None]
    """The scores that count, in the order of the samples; None for one without verdict."""
    spread: float | None
    """Standard deviation of the scores; None if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoresAtVersion:
    version: int
    route: str
    scorer: str
    """NAME@VERSION."""
    count: int
    mean: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PickedReference:
    """A reference that a reward model picked, as `infra.db.models.PromptReference` has it."""

    text: str
    score: float
    scorer: str
    """NAME@VERSION of the reward model."""
    responses: int
    policy: str
    rollout_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptExplanation:
    id: str
    prompt: str
    domain: str
    split: str
    origin: str
    source: str
    scorer: str
    why_scorer: str
    rerouted_at: datetime | None
    quarantined: str | None
    references: list[PickedReference]
    """Best first; references that the dataset gave are not among them."""
    next: str
    """What the selector does with the prompt until there is a decision on it."""
    decisions: list[ExplainedDecision]
    statistics: list[StatisticsOnRoute]
    groups: list[ExplainedGroup]
    scores: list[ScoresAtVersion]


def explain(connection: Connection, settings: Settings, prefix: str) -> PromptExplanation:
    """`settings.run.id` names the run; empty if there is none yet. Raises PromptNotFoundError."""
    found = connection.execute(select(Prompt).where(Prompt.id.startswith(prefix, autoescape=True)).limit(2)).all()
    if len(found) != 1:
        what = "no prompt's id begins" if not found else "more than one prompt's id begins"
        raise PromptNotFoundError(f"{what} with {prefix!r}: `rewardstream prompts list` shows ids")
    (prompt,) = found
    question = msgspec.convert(prompt.question, Question)
    run_id = settings.run.id
    scorer, why = scorer_of(question, settings.router.shadow_share)
    scores = _scores(connection, run_id, prompt.id)
    return PromptExplanation(
        id=prompt.id,
        prompt=question.prompt,
        domain=prompt.domain,
        split=prompt.split,
        origin=prompt.origin,
        source=prompt.source,
        scorer=scorer,
        why_scorer=why,
        rerouted_at=prompt.rerouted_at,
        quarantined=prompt.quarantined,
        references=_references(connection, prompt.id),
        next=first_step(prompt.split, prompt.origin, settings, scored=bool(question.verifier or judgeable(question))),
        decisions=explain_prompt(connection, run_id, prompt.id),
        statistics=_statistics(connection, run_id, prompt.id, settings.selector.preppo.prior),
        groups=_groups(connection, run_id, prompt.id, scores),
        scores=_by_version(scores),
    )


def scorer_of(question: Question, shadow_share: float) -> tuple[str, str]:
    """The scorer that the prompt's responses go to, and why."""
    if question.verifier:
        scorer, why = f"RTV: the verifier {question.verifier}", "the prompt names a verifier"
    elif question.ground_truth is not None:
        scorer, why = "GenRM, with the ground truth", "the prompt has a ground truth and names no verifier"
    elif question.references:
        best = f"with the best of {len(question.references)} references"
        scorer, why = f"GenRM, {best}", "the prompt has references, but neither a verifier nor a ground truth"
    else:
        why = (
            "the prompt has neither a verifier nor a ground truth nor references; `rewardstream prompts references` "
            "picks references"
        )
        return "none: it is left out", why
    if question.veto:
        why += f"; a response that the verifier {question.veto} marks wrong scores 0, whatever the judge says"
    other = shadow_route_of(question)
    if shadow_share and other is not None:
        why += (
            f"; {other.value} scores {shadow_share:.0%} of its groups, too (router.shadow_share), for calibration only"
        )
    return scorer, why


def first_step(split: str, origin: str, settings: Settings, *, scored: bool) -> str:
    """What happens to a prompt before the first decision on it."""
    preppo = settings.selector.preppo
    if not scored:
        return "it stays out until it can be scored"
    if split != "train":
        return f"it is measured, {settings.selector.eval_samples} responses at a time, and never trained on"
    if not preppo.enabled:
        return "it is in: Pre-PPO selection is off (selector.preppo.enabled)"
    if origin != "new" and preppo.originals == "keep":
        return "it is in: the original prompts are not filtered (selector.preppo.originals)"
    rules = ", ".join(preppo.mixture) or preppo.rule
    return (
        f"before training, {preppo.samples} responses to it are scored; the rule {rules} then ranks it, and the first "
        f"{preppo.keep_share:.0%} are in (selector.preppo)"
    )


def _references(connection: Connection, prompt_id: str) -> list[PickedReference]:
    query = select(PromptReference).where(PromptReference.prompt_id == prompt_id).order_by(PromptReference.rank)
    return [
        PickedReference(
            text=row.text,
            score=row.score,
            scorer=f"{row.scorer}@{row.scorer_version}",
            responses=row.responses,
            policy=row.policy,
            rollout_id=row.rollout_id,
        )
        for row in connection.execute(query)
    ]


def _statistics(connection: Connection, run_id: str, prompt_id: str, prior: float) -> list[StatisticsOnRoute]:
    query = select(PromptStats, PromptStats.count.label("scores"))
    query = query.where(PromptStats.run_id == run_id, PromptStats.prompt_id == prompt_id)
    return [
        StatisticsOnRoute(
            route=row.route,
            count=row.scores,
            mean=row.mean,
            passes=row.passes,
            a=(belief := posterior(row.successes, row.failures, prior)).a,
            b=belief.b,
            version=row.evidence_version,
        )
        for row in connection.execute(query.order_by(PromptStats.route))
    ]


def _scores(connection: Connection, run_id: str, prompt_id: str) -> Sequence[Any]:
    """The rows of `scores`, found through the prompt's groups."""
    columns = (Score.group_id, Score.rollout_id, Score.route, Score.scorer, Score.scorer_version, Score.policy_version)
    return connection.execute(
        select(*columns, Score.score, Score.shadow)
        .join(Group, Group.group_id == Score.group_id)
        .where(Group.run_id == run_id, Group.prompt_id == prompt_id)
        .order_by(Group.seq, Score.rollout_id, Score.scored_at)
    ).all()


def _groups(connection: Connection, run_id: str, prompt_id: str, scores: Sequence[Any]) -> list[ExplainedGroup]:
    first: dict[str, dict[str, float | None]] = defaultdict(dict)
    for row in scores:
        if not row.shadow:
            first[row.group_id].setdefault(row.rollout_id, row.score)
    query = select(Group).where(Group.run_id == run_id, Group.prompt_id == prompt_id).order_by(Group.seq)
    found = []
    for row in connection.execute(query):
        counted = [score for score in first[row.group_id].values() if score is not None]
        found.append(
            ExplainedGroup(
                group_id=row.group_id,
                purpose=row.purpose,
                label=row.label,
                dispatched_version=row.dispatched_version,
                outcome=row.outcome,
                reason=row.reason,
                closed_version=row.closed_version,
                scores=list(first[row.group_id].values()),
                spread=pstdev(counted) if counted else None,
            )
        )
    return found


def _by_version(scores: Sequence[Any]) -> list[ScoresAtVersion]:
    values: dict[tuple[int, str, str], list[float]] = defaultdict(list)
    for row in scores:
        if row.score is not None:
            values[row.policy_version, row.route, f"{row.scorer}@{row.scorer_version}"].append(row.score)
    return [
        ScoresAtVersion(version=version, route=route, scorer=scorer, count=len(some), mean=sum(some) / len(some))
        for (version, route, scorer), some in sorted(values.items())
    ]
