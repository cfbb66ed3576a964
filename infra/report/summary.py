"""`summary.json`: a run in numbers, from the collected record. Pure.

Invariant: a difference is taken only over prompts that were measured on both sides.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from statistics import fmean
from typing import Any

from infra.advice.advisories import advise
from infra.db.calibration import Calibration
from infra.report.collect import AFTER, BEFORE, GroupRow, Response, RunRecord
from infra.report.curve import heldout_curve
from infra.report.hacking import hacking
from infra.report.history import increase
from infra.report.shares import domain_shares
from infra.report.summary_statistics import Pauses, percentiles, seconds_up
from infra.settings.evaluation import Skill
from streams.messages import Outcome
from trainer.evaluation.estimators import bootstrap_interval

Scores = dict[str, float]
"""Prompt id -> mean score of its samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Facts that only the command knows, and Postgres does not."""

    wall_seconds: float
    """Without the time for which the run was down."""
    prepare_seconds: float
    broker: str
    seed: int
    restarts: Mapping[str, int] = field(default_factory=dict)
    """Service -> number of restarts."""
    base_scores: Mapping[str, float] = field(default_factory=dict)
    """Prompt id -> mean score of the base model; empty if it was not measured."""
    prepare_report: Mapping[str, Any] = field(default_factory=dict)
    audit: Mapping[str, Any] = field(default_factory=dict)
    started_at: float = 0.0
    """Start of the first command, in Unix seconds; 0 if an older release wrote this."""
    pauses: Pauses = ()
    """From when to when the run was down, in Unix seconds, oldest first."""


def summarise(record: RunRecord, history: Sequence[Mapping[str, Any]], facts: RunFacts) -> dict[str, Any]:
    """Returns the content of summary.json. `learner_tokens_per_second` counts all tokens that the learner processed,
    and `learner_response_tokens_per_second` those that it trained on, both over the seconds of training.
    """
    phases = phase_seconds(record, facts.prepare_seconds, facts.pauses)
    train_seconds = phases["train"]
    trained = [response for response in record.responses if response.purpose == "train"]
    outcomes = Counter(group.outcome or "open" for group in record.groups)
    return {
        "run": record.run_id,
        "finished": record.phase == "finished",
        "heldout": heldout(record.responses, facts.base_scores),
        "heldout_by_version": heldout_curve(record, facts.pauses),
        "groups": {outcome.value: outcomes.pop(outcome, 0) for outcome in Outcome} | dict(outcomes),
        "groups_by_purpose": _by_purpose(record.groups),
        "domain_shares": domain_shares(record.groups, record.domain_shares),
        "filtered_by_reason": dict(Counter(str(g.reason) for g in record.groups if g.outcome == "filtered")),
        "advice": [] if record.measures is None else [asdict(advisory) for advisory in advise(record.measures)],
        "reward_by_outcome": reward_by_outcome(record.groups),
        "staleness": percentiles(
            [group.staleness for group in record.groups if group.outcome == "trained" and group.staleness is not None]
        ),
        "policy_versions": max(
            (group.version or 0 for group in record.groups if group.outcome == "trained"), default=0
        ),
        "wall_seconds": round(facts.wall_seconds, 1),
        "phase_seconds": {name: round(seconds, 1) for name, seconds in phases.items()},
        "learner_tokens_per_second": _rate_per_second(increase(history, "learner_tokens"), train_seconds),
        "learner_response_tokens_per_second": _rate_per_second(
            sum(response.tokens for response in trained if response.outcome == "trained"), train_seconds
        ),
        "rollouts_per_second": _rate_per_second(len(trained), train_seconds),
        "restarts": sum(facts.restarts.values()),
        "restarts_by_service": dict(facts.restarts),
        "hacking": hacking(record.hacking, record.groups, trained),
        "calibration": [asdict(row) | rates(row) for row in record.calibration],
        "broker": facts.broker,
        "seed": facts.seed,
        "prepare": dict(facts.prepare_report),
        "audit": dict(facts.audit),
    }


def heldout(responses: Sequence[Response], base: Mapping[str, float]) -> dict[str, Any]:
    """Returns `overall`, `by_skill` and `by_domain`, each {base, before, before_ci95, after, after_ci95, delta,
    delta_ci95, prompts}.
    """
    before, after = prompt_scores(responses, BEFORE), prompt_scores(responses, AFTER)
    domains: dict[str, dict[str, str | None]] = defaultdict(dict)
    for response in responses:
        if response.label in (BEFORE, AFTER):
            domains[response.domain][response.prompt_id] = response.skill
    skills = {skill for prompts in domains.values() for skill in prompts.values() if skill is not None}

    def compare(parts: Mapping[str, Iterable[str]]) -> dict[str, Any]:
        return _comparison({name: list(prompts) for name, prompts in parts.items()}, before, after, base)

    return {
        "overall": compare(domains),
        "by_skill": {
            skill.value: compare(
                {
                    domain: [prompt for prompt in prompts if prompts[prompt] == skill]
                    for domain, prompts in domains.items()
                }
            )
            for skill in Skill
            if skill in skills
        },
        "by_domain": {domain: compare({domain: prompts}) for domain, prompts in sorted(domains.items())},
    }


def prompt_scores(responses: Sequence[Response], label: str) -> Scores:
    """Returns each prompt's mean over those of its samples that have a score."""
    scores: dict[str, list[float]] = defaultdict(list)
    for response in responses:
        if response.label == label and response.score is not None:
            scores[response.prompt_id].append(response.score)
    return {prompt: fmean(values) for prompt, values in scores.items()}


def phase_seconds(record: RunRecord, prepare_seconds: float, pauses: Pauses = ()) -> dict[str, float]:
    """Returns the seconds of prepare, evaluate (all held-out measurements), assess (Pre-PPO) and train, without those
    of `pauses`, in which the run was down.
    """

    def span(groups: Sequence[GroupRow], started: datetime | None = None) -> float:
        return _span_seconds(groups, started, pauses)

    return {
        "prepare": prepare_seconds,
        "evaluate": sum(
            span([group for group in record.groups if group.purpose == "eval" and group.label == label])
            for label in {group.label for group in record.groups if group.purpose == "eval"}
        ),
        "assess": span([group for group in record.groups if group.purpose == "assess"]),
        "train": span([group for group in record.groups if group.purpose == "train"], record.train_started_at),
    }


def _comparison(
    domains: Mapping[str, Sequence[str]], before: Scores, after: Scores, base: Mapping[str, float]
) -> dict[str, Any]:
    prompts = [prompt for prompts in domains.values() for prompt in prompts]
    differences = {
        domain: [after[prompt] - before[prompt] for prompt in members if prompt in before and prompt in after]
        for domain, members in domains.items()
    }
    paired = [difference for values in differences.values() for difference in values]
    sides = {
        label: {
            domain: [scores[prompt] for prompt in members if prompt in scores] for domain, members in domains.items()
        }
        for label, scores in ((BEFORE, before), (AFTER, after))
    }
    return {
        "base": _rounded_mean([base[prompt] for prompt in prompts if prompt in base]),
        **{
            label: _rounded_mean([score for scores in side.values() for score in scores])
            for label, side in sides.items()
        },
        **{f"{label}_ci95": _rounded_interval(side) for label, side in sides.items()},
        "delta": _rounded_mean(paired),
        "delta_ci95": _rounded_interval(differences),
        "prompts": len(paired),
    }


def rates(row: Calibration) -> dict[str, float | None]:
    shares = {
        "agreement": row.agreement,
        "over_scoring": row.over_scoring,
        "under_scoring": row.under_scoring,
        "mean_difference": row.mean_difference,
    }
    return {name: None if value is None else round(value, 4) for name, value in shares.items()}


def reward_by_outcome(groups: Sequence[GroupRow]) -> dict[str, dict[str, float]]:
    """Returns domain -> outcome -> mean score of its train groups: what was filtered is a part of the reward too."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for group in groups:
        if group.purpose == "train" and group.outcome is not None and group.mean_score is not None:
            found[group.domain][group.outcome].append(group.mean_score)
    return {
        domain: {outcome: round(fmean(scores), 4) for outcome, scores in sorted(outcomes.items())}
        for domain, outcomes in sorted(found.items())
    }


def _by_purpose(groups: Sequence[GroupRow]) -> dict[str, dict[str, int]]:
    purposes = sorted({group.purpose for group in groups})
    return {
        purpose: dict(Counter(group.outcome or "open" for group in groups if group.purpose == purpose))
        for purpose in purposes
    }


def _span_seconds(groups: Sequence[GroupRow], started: datetime | None, pauses: Pauses) -> float:
    """Returns the seconds from the first dispatch, or from `started`, to the last closing, without the pauses."""
    closings = [group.closed_at for group in groups if group.closed_at is not None]
    if not closings:
        return 0.0
    start = started or min(group.dispatched_at for group in groups)
    return seconds_up(start, max(closings), pauses)


def _rounded_mean(values: Sequence[float]) -> float | None:
    return round(fmean(values), 4) if values else None


def _rounded_interval(strata: Mapping[str, Sequence[float]]) -> list[float] | None:
    """None if there is no value."""
    return [round(bound, 4) for bound in bootstrap_interval(strata)] if any(strata.values()) else None


def _rate_per_second(count: float, seconds: float) -> float | None:
    return round(count / seconds, 2) if seconds > 0 else None
