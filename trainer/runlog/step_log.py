"""Records each step: Prometheus metrics, and one JSON line per step in the run's folder.

Invariant: `steps.jsonl` is append-only; lines of an abandoned lineage stay, and their lineage tells them apart.
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
import numpy as np

from infra.metrics import metrics
from trainer.step.batch import TrainingBatch
from trainer.step.report import StepReport


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
    """Exports the step's metrics and appends its line, which it returns. Raises OSError.

    `version` is the version that the step made, `staleness` has one number per group, and `shaping` names how the
    step's rewards were made from the scores. The line's `reward` and `rewards` are means of the raw scores.
    """
    ages = token_ages(batch, version - 1)
    line: dict[str, Any] = asdict(report) | {
        "at": time.time(),
        "lineage": lineage,
        "version": version,
        "rewards": mean_by_domain(batch),
        "reward": fmean(t.score for t in batch.trajectories),
        "trajectories": len(batch.trajectories),
        "groups": len(batch.groups),
        "staleness": list(staleness),
        "staleness_mean": fmean(staleness),
        "staleness_max": max(staleness),
        "token_staleness": sum(age * tokens for age, tokens in ages.items()) / max(sum(ages.values()), 1),
        "token_staleness_quantiles": quantiles(ages),
        "skipped_updates": len(report.skipped),
        "shaping": shaping,
        "response_tokens": batch.targets / len(batch.trajectories),
    }
    metrics.set_gauges(line)
    _count(batch, report, staleness, ages)
    with path.open("ab") as file:
        file.write(msgspec.json.encode(line) + b"\n")
    return line


def mean_by_domain(batch: TrainingBatch) -> dict[str, float]:
    scores: dict[str, list[float]] = defaultdict(list)
    for trajectory in batch.trajectories:
        scores[trajectory.domain].append(trajectory.score)
    return {domain: fmean(values) for domain, values in sorted(scores.items())}


def token_ages(batch: TrainingBatch, trained: int) -> Counter[int]:
    """Number of tokens by age: the versions between the one that sampled them and `trained`, the one that was trained.

    Tokens of an abandoned lineage may have a higher version, and count as fresh.
    """
    found: Counter[int] = Counter()
    for trajectory in batch.trajectories:
        versions, counts = np.unique(trajectory.versions, return_counts=True)
        for version, count in zip(versions.tolist(), counts.tolist(), strict=True):
            found[max(0, trained - version)] += count
    return found


def quantiles(counts: Mapping[int, int]) -> dict[str, int]:
    """Quantiles by nearest rank, so each is an age that occurred."""
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


def _count(batch: TrainingBatch, report: StepReport, staleness: Sequence[int], ages: Mapping[int, int]) -> None:
    """Moves the counters and histograms; `skipped_updates` counts each update when it is skipped."""
    metrics.learner_tokens_total.labels("target").inc(report.targets)
    metrics.learner_tokens_total.labels("computed").inc(report.tokens)
    for phase, seconds in report.seconds.items():
        metrics.learner_step_seconds.labels(phase).observe(seconds)
    for age in staleness:
        metrics.staleness_versions.observe(age)
    for age, tokens in ages.items():
        metrics.token_staleness_versions.observe(age, tokens)
    for trajectory in batch.trajectories:
        metrics.response_tokens.labels(trajectory.domain).observe(len(trajectory.logprobs))
