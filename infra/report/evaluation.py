"""The summary of an evaluation: each model's table, and the paired comparison of two. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.settings.tree import Settings
from trainer.evaluation.results import (
    ComparisonRow,
    Difference,
    MeanEstimate,
    Metric,
    PromptScores,
    ResultRow,
    compare,
    metrics_of,
    tabulate,
)

_DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelResult:
    """What is known of one model after an evaluation."""

    model: str
    weights: str
    """Digest of the weights."""
    source_run: str | None
    lineage: int
    version: int
    prompts: Sequence[PromptScores]
    missing: int
    """Prompts without all of their scores; the next evaluation asks them again."""
    unscorable: int
    """Prompts that nothing can score."""
    cut_off: float | None
    """Fraction of the responses that reached their token limit; None without responses."""
    failures: Mapping[str, int]
    """Why groups failed this time -> number of groups."""
    run: str | None
    """Run that generated what was missing; None if nothing was."""
    rollouts: int
    """Rollouts that were generated this time."""
    seconds: float
    violations: int


def summarise_evaluation(
    results: Sequence[ModelResult], sets: Sequence[Mapping[str, Any]], settings: Settings
) -> dict[str, Any]:
    """Returns the content of evaluation.json. `comparison` is None unless there are two models."""
    samples = settings.evaluation.samples
    metrics = metrics_of(samples, settings.evaluation.pass_at)
    sampling = settings.rollout.sampling
    return {
        "samples": samples,
        "metrics": list(metrics),
        "seed": settings.run.seed,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "sets": [dict(one) for one in sets],
        "models": [_model(result, metrics) for result in results],
        "comparison": _comparison(*results, metrics=metrics) if len(results) == 2 else None,
    }


def _model(result: ModelResult, metrics: Mapping[str, Metric]) -> dict[str, Any]:
    fields = (
        *("model", "weights", "source_run", "lineage", "version", "missing", "unscorable"),
        *("run", "rollouts", "seconds", "violations"),
    )
    return {
        **{name: getattr(result, name) for name in fields},
        "cut_off": None if result.cut_off is None else round(result.cut_off, _DIGITS),
        "failures": dict(result.failures),
        "rows": [_row(row) for row in tabulate(result.prompts, metrics)],
    }


def _comparison(first: ModelResult, second: ModelResult, *, metrics: Mapping[str, Metric]) -> dict[str, Any]:
    return {
        "first": first.model,
        "second": second.model,
        "rows": [_compared(row) for row in compare(first.prompts, second.prompts, metrics)],
    }


def _row(row: ResultRow) -> dict[str, Any]:
    return {
        "kind": row.part.kind,
        "name": row.part.name,
        "prompts": row.prompts,
        "responses": row.samples,
        "metrics": {name: _estimate(estimate) for name, estimate in row.metrics.items()},
    }


def _compared(row: ComparisonRow) -> dict[str, Any]:
    return {
        "kind": row.part.kind,
        "name": row.part.name,
        "prompts": row.prompts,
        "metrics": {name: _difference(difference) for name, difference in row.metrics.items()},
    }


def _estimate(found: MeanEstimate) -> dict[str, Any]:
    return {"value": round(found.value, _DIGITS), "ci95": [round(found.low, _DIGITS), round(found.high, _DIGITS)]}


def _difference(found: Difference) -> dict[str, Any]:
    gained = _estimate(found.difference)
    return {
        "first": round(found.first, _DIGITS),
        "second": round(found.second, _DIGITS),
        "difference": gained["value"],
        "ci95": gained["ci95"],
        "p": round(found.p, 6),
    }
