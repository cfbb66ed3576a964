"""What a step says of itself: Prometheus metrics, and one JSON line a step in the run's folder.

Invariant: `steps.jsonl` is append-only; a line of an abandoned lineage stays, marked by its lineage.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec

from infra import metrics
from trainer.batch import TrainingBatch
from trainer.ppo import StepReport

STEPS_FILE = "steps.jsonl"


def record_step(
    path: Path, *, lineage: int, version: int, batch: TrainingBatch, report: StepReport, staleness: Sequence[int]
) -> None:
    """`version` is the one that the step made; `staleness` one number a group. Raises OSError."""
    rewards = mean_by_domain(batch)
    _export(version, batch, report, staleness, rewards)
    line: dict[str, Any] = asdict(report) | {
        "at": time.time(),
        "lineage": lineage,
        "version": version,
        "rewards": rewards,
        "reward": fmean(t.score for t in batch.trajectories),
        "trajectories": len(batch.trajectories),
        "groups": len(batch.groups),
        "staleness": list(staleness),
        "token_staleness": _token_staleness(batch, version - 1),
        "response_tokens": batch.targets / len(batch.trajectories),
    }
    with path.open("ab") as file:
        file.write(msgspec.json.encode(line) + b"\n")


def mean_by_domain(batch: TrainingBatch) -> dict[str, float]:
    scores: dict[str, list[float]] = defaultdict(list)
    for trajectory in batch.trajectories:
        scores[trajectory.domain].append(trajectory.score)
    return {domain: fmean(values) for domain, values in sorted(scores.items())}


def _token_staleness(batch: TrainingBatch, held: int) -> float:
    ages = [max(0, held - version) for t in batch.trajectories for version in t.versions]
    return fmean(ages)


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
    metrics.learner_entropy.set(report.entropy)
    metrics.learner_clip_share.set(report.clip_share)
    metrics.learner_gradient_norm.labels("policy").set(report.policy_gradient_norm)
    metrics.learner_gradient_norm.labels("value").set(report.value_gradient_norm)
    if report.logprob_difference_mean is not None and report.logprob_difference_max is not None:
        metrics.learner_logprob_difference.labels("mean").set(report.logprob_difference_mean)
        metrics.learner_logprob_difference.labels("max").set(report.logprob_difference_max)
