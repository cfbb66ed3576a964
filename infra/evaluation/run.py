"""Evaluates one model or two, from their files to results: the prompts into Postgres, what lacks scores through a stack
of its own, tables and the comparison out of Postgres.

Invariant: what has scores under the same conditions is not generated again. If nothing lacks scores, no stack is
started.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from infra.evaluation.own_stack import (
    Show,
    migrated_engine,
    run_task,
    settings_of_run,
    show_on_stderr,
    with_own_stack,
)
from infra.evaluation.sets import EvaluationSet, IngestedSet, ingest_set
from infra.local import run_folder
from infra.report.build import write_evaluation
from infra.report.evaluation import ModelResult, summarise_evaluation
from infra.services import Service
from infra.settings.tree import Settings
from trainer.evaluator.plan import EvaluationPlan, cut_off_share, make_plan, results_of
from trainer.evaluator.policy_files import PolicyFiles, find_policy
from trainer.evaluator.stored import failures_of

_KIND = "eval"
"""Suffix of the id of a run that evaluates."""
_FOLDER = "evaluations"
"""Folder of the results, in the folder of runs."""
_MOST_MODELS = 2


class EvaluationError(ValueError):
    """There is nothing to evaluate, or too much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one model's evaluation generated this time."""

    run_id: str | None = None
    """None if nothing lacked scores."""
    rollouts: int = 0
    seconds: float = 0.0
    violations: int = 0
    """Violations that the audit of its run found."""


def evaluate_models(
    settings: Settings,
    models: Sequence[str],
    sets: Sequence[EvaluationSet],
    *,
    out: Path | None = None,
    show: Show = show_on_stderr,
) -> dict[str, Any]:
    """Evaluates one model, or two and their paired difference; returns the summary, which is also written to `out` with
    a picture. Sampling, seed, scorers and the number of responses are those of the settings. It may be called again
    after any interruption, and continues.

    Raises EvaluationError, ServicesEndedError if the services cannot run, ModelFilesError, DatasetError, and what
    starting a stack raises.
    """
    if not 1 <= len(models) <= _MOST_MODELS:
        raise EvaluationError(f"an evaluation takes one model, or two to compare, not {len(models)}")
    settings = with_own_stack(settings)
    runs = settings.run.folder
    policies = [find_policy(name, runs, settings.run.prepared) for name in models]
    with migrated_engine(settings) as engine:
        ingested = [ingest_set(engine, one, show) for one in sets]
    prompt_ids = [prompt_id for one in ingested for prompt_id in one.prompt_ids]
    if not prompt_ids:
        raise EvaluationError("no prompt to evaluate on: every row of the sets was set aside")
    measured = [_measure_missing(settings, policy, prompt_ids, show) for policy in policies]
    with migrated_engine(settings) as engine:
        results = [
            _result(engine, settings, policy, prompt_ids, done) for policy, done in zip(policies, measured, strict=True)
        ]
    summary = summarise_evaluation(results, _sets_of(ingested), settings)
    return write_evaluation(out or runs / _FOLDER / _name_of(results), summary)


def _measure_missing(settings: Settings, policy: PolicyFiles, prompt_ids: Sequence[str], show: Show) -> Measured:
    """Generates and scores what a model lacks, in a run of its own."""
    with migrated_engine(settings) as engine, engine.connect() as connection:
        plan = make_plan(connection, settings, policy, prompt_ids)
    if not plan.lacking:
        show(f"{policy.name}: all {len(plan.prompts)} prompts have their scores")
        return Measured()
    run_id, folder = run_folder.make_beside(settings.run.folder, _KIND)
    show(f"{policy.name}: {len(plan.lacking)} of {len(plan.prompts)} prompts to measure, in {folder}")
    done = run_task(settings_of_run(settings, policy, run_id), plan, _scorers_for(plan), show)
    rollouts = sum(plan.samples - prompt.stored for prompt in plan.lacking)
    return Measured(run_id=run_id, rollouts=rollouts, seconds=done.seconds, violations=done.violations)


def _result(
    engine: Engine, settings: Settings, policy: PolicyFiles, prompt_ids: Sequence[str], done: Measured
) -> ModelResult:
    with engine.connect() as connection:
        plan = make_plan(connection, settings, policy, prompt_ids)
        return ModelResult(
            model=policy.name,
            weights=policy.digest,
            source_run=policy.source_run,
            lineage=policy.lineage,
            version=policy.version,
            prompts=results_of(connection, plan),
            missing=len(plan.lacking),
            unscorable=plan.unscorable,
            cut_off=cut_off_share(connection, plan),
            failures=failures_of(connection, done.run_id) if done.run_id else {},
            run=done.run_id,
            rollouts=done.rollouts,
            seconds=done.seconds,
            violations=done.violations,
        )


def _scorers_for(plan: EvaluationPlan) -> set[Service]:
    return {Service.RTV if prompt.by_verifier else Service.GENRM for prompt in plan.lacking}


def _sets_of(ingested: Sequence[IngestedSet]) -> list[Mapping[str, Any]]:
    return [
        {
            "set": one.name,
            "skill": None if one.skill is None else one.skill.value,
            "prompts": len(one.prompt_ids),
            "set_aside": one.set_aside,
        }
        for one in ingested
    ]


def _name_of(results: Sequence[ModelResult]) -> str:
    """A name that the same models on the same prompts have again."""
    content = [part for result in results for part in (result.weights, *(p.prompt_id for p in result.prompts))]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()[:12]
