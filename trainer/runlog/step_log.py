"""What a step says of itself: Prometheus metrics, and one JSON line a step in the run's folder.

Invariant: `steps.jsonl` is append-only; a line of an abandoned lineage stays, marked by its lineage.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import ceil
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec

from infra import metrics
from trainer.step.batch import TrainingBatch
from trainer.step.report import StepReport

STEPS_FILE = "steps.jsonl"


def record_step(
    path: Path,
    *,
    lineage: int,
    version: int,
    batch: TrainingBatch,
    report: StepReport,
    staleness: Sequence[int],
    shaping: str,
) -> dict[str, Any]:
    """Returns the line that it wrote.

    `version` is the one that the step made; `staleness` one number a group; `shaping` names what made the rewards that
    the step aimed at out of the scores (`reward` and `rewards` are of the raw ones). Raises OSError.
    """
    rewards = mean_by_domain(batch)
    ages = token_ages(batch, version - 1)
    _export(version, batch, report, staleness, rewards)
    for age, tokens in ages.items():
        metrics.token_staleness_versions.observe(age, tokens)
    line: dict[str, Any] = asdict(report) | {
        "at": time.time(),
        "lineage": lineage,
        "version": version,
        "rewards": rewards,
        "reward": fmean(t.score for t in batch.trajectories),
        "trajectories": len(batch.trajectories),
        "groups": len(batch.groups),
        "staleness": list(staleness),
        "token_staleness": sum(age * tokens for age, tokens in ages.items()) / max(sum(ages.values()), 1),
        "token_staleness_quantiles": quantiles(ages),
        "shaping": shaping,
        "response_tokens": batch.targets / len(batch.trajectories),
    }
    with path.open("ab") as file:
        file.write(msgspec.json.encode(line) + b"\n")
    return line


def mean_by_domain(batch: TrainingBatch) -> dict[str, float]:
    scores: dict[str, list[float]] = defaultdict(list)
    for trajectory in batch.trajectories:
        scores[trajectory.domain].append(trajectory.score)
    return {domain: fmean(values) for domain, values in sorted(scores.items())}


def token_ages(batch: TrainingBatch, held: int) -> Counter[int]:
    """Tokens by versions between the one that made them and `held`; those of an abandoned lineage count as fresh."""
    return Counter(max(0, held - version) for t in batch.trajectories for version in t.versions)


def quantiles(counts: Mapping[int, int]) -> dict[str, int]:
    """Nearest rank, so that each is an age that occurred."""
    total = sum(counts.values())
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: _at_rank(counts, ceil(share * total)) for name, share in shares.items()}


def _at_rank(counts: Mapping[int, int], rank: int) -> int:
    seen = 0
    for age, count in sorted(counts.items()):
        seen += count
        if seen >= rank:
            return age
    return 0


def _export(
    version: int, batch: TrainingBatch, report: StepReport, staleness: Sequence[int], rewards: dict[str, float]
) -> None:
    metrics.policy_version.set(version)
    metrics.learner_tokens_total.labels("target").inc(report.targets)
    metrics.learner_tokens_total.labels("computed").inc(report.tokens)
    for phase, seconds in report.seconds.items():
        metrics.learner_step_seconds.labels(phase).observe(seconds)
    for age in staleness:
        metrics.staleness_versions.observe(age)
    for domain, reward in rewards.items():
        metrics.learner_reward.labels(domain).set(reward)
    for trajectory in batch.trajectories:
        metrics.response_tokens.labels(trajectory.domain).observe(len(trajectory.logprobs))
    metrics.learner_loss.labels("policy").set(report.policy_loss)
    metrics.learner_loss.labels("value").set(report.value_loss)
    metrics.learner_loss.labels("positive_nll").set(report.nll_loss)
    metrics.learner_importance_weight.set(report.importance_weight)
    metrics.learner_importance_clip_fraction.set(report.importance_clip_fraction)
    metrics.learner_kl.set(report.kl)
    metrics.learner_shaped_reward.set(report.shaped_reward)
    metrics.learner_entropy.set(report.entropy)
    metrics.learner_clip_fraction.set(report.clip_fraction)
    metrics.learner_gradient_norm.labels("policy").set(report.policy_gradient_norm)
    metrics.learner_gradient_norm.labels("value").set(report.value_gradient_norm)
    if report.logprob_diff_mean is not None and report.logprob_diff_max is not None:
        metrics.learner_logprob_diff.labels("mean").set(report.logprob_diff_mean)
        metrics.learner_logprob_diff.labels("max").set(report.logprob_diff_max)
