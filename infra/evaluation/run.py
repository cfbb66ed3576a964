"""Evaluates one model or two, from their files to results: the prompts into Postgres, what lacks scores through a stack
of its own, tables and the comparison out of Postgres.

Invariant: what has scores under the same conditions is not generated again. If nothing lacks scores, no stack is
started.
"""

import hashlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from infra.db.engine import connect
from infra.db.migrate import upgrade_engine
from infra.evaluation.sets import EvaluationSet, IngestedSet, ingest_set
from infra.local import disk, run_folder
from infra.local.open_engine import is_embedded, open_engine
from infra.local.service_commands import ServiceSpec, service_specs
from infra.local.stack import Stack
from infra.local.supervisor import RunEnd, RunOutcome, Supervisor
from infra.report.build import write_evaluation
from infra.report.evaluation import ModelResult, summarise_evaluation
from infra.services import Service
from infra.settings.load import with_changes
from infra.settings.tree import BrokerKind, Settings
from trainer.audit.audit import audit_run, save
from trainer.evaluator.evaluator import Progress, measure
from trainer.evaluator.plan import EvaluationPlan, make_plan, results_of
from trainer.evaluator.policy_files import PolicyFiles, find_policy
from trainer.evaluator.stored import failures_of

_KIND = "eval"
"""Suffix of the id of a run that evaluates."""
_FOLDER = "evaluations"
"""Folder of the results, in the folder of runs."""
_MOST_MODELS = 2
_POLL_SECONDS = 0.2
_SHOW_SECONDS = 10.0

Show = Callable[[str], None]


class EvaluationError(ValueError):
    """There is nothing to evaluate, or too much."""


class ServicesEndedError(RuntimeError):
    """The services of the stack gave up before the evaluation was done; the text says which, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one model's evaluation generated this time."""

    run_id: str | None = None
    """None if nothing lacked scores."""
    rollouts: int = 0
    seconds: float = 0.0
    violations: int = 0
    """Violations that the audit of its run found."""


def show_on_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


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
    settings = _with_own_stack(settings)
    runs = settings.run.folder
    policies = [find_policy(name, runs, settings.run.prepared) for name in models]
    with _migrated_engine(settings) as engine:
        ingested = [ingest_set(engine, one, show) for one in sets]
    prompt_ids = [prompt_id for one in ingested for prompt_id in one.prompt_ids]
    if not prompt_ids:
        raise EvaluationError("no prompt to evaluate on: every row of the sets was set aside")
    measured = [_measure_missing(settings, policy, prompt_ids, show) for policy in policies]
    with _migrated_engine(settings) as engine:
        results = [
            _result(engine, settings, policy, prompt_ids, done) for policy, done in zip(policies, measured, strict=True)
        ]
    summary = summarise_evaluation(results, _sets_of(ingested), settings)
    return write_evaluation(out or runs / _FOLDER / _name_of(results), summary)


def _measure_missing(settings: Settings, policy: PolicyFiles, prompt_ids: Sequence[str], show: Show) -> Measured:
    """Generates and scores what a model lacks, in a run of its own."""
    with _migrated_engine(settings) as engine, engine.connect() as connection:
        plan = make_plan(connection, settings, policy, prompt_ids)
    if not plan.lacking:
        show(f"{policy.name}: all {len(plan.prompts)} prompts have their scores")
        return Measured()
    started = time.monotonic()
    run_id, folder = run_folder.make_beside(settings.run.folder, _KIND)
    show(f"{policy.name}: {len(plan.lacking)} of {len(plan.prompts)} prompts to measure, in {folder}")
    with Stack(_settings_of_run(settings, policy, run_id), _services_for(plan), latest=False) as stack:
        database, bootstrap = stack.settings.database, stack.broker.bootstrap
        supervisor = stack.start_services()
        engine = connect(database.url, database.connect_timeout_seconds)
        try:
            measure(stack.settings, bootstrap, engine, plan, pause=_Pause(supervisor, stack.folder, show))
            report = audit_run(stack.settings, bootstrap, engine)
        finally:
            engine.dispose()
        save(report, stack.folder)
    rollouts = sum(plan.samples - prompt.stored for prompt in plan.lacking)
    seconds = round(time.monotonic() - started, 1)
    return Measured(run_id=run_id, rollouts=rollouts, seconds=seconds, violations=len(report.violations))


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
            failures=failures_of(connection, done.run_id) if done.run_id else {},
            run=done.run_id,
            rollouts=done.rollouts,
            seconds=done.seconds,
            violations=done.violations,
        )


@contextmanager
def _migrated_engine(settings: Settings) -> Iterator[Engine]:
    with open_engine(settings.database, settings.run.folder) as engine:
        upgrade_engine(engine)
        yield engine


def _with_own_stack(settings: Settings) -> Settings:
    """The settings of a new stack, also if they are the settings.json of a run whose stack has ended."""
    of_a_stack = settings.broker.kind in (BrokerKind.EMBEDDED, BrokerKind.KAFKA)
    return with_changes(
        settings,
        run={"id": ""},
        data={"prompts": None, "heldout": None},
        broker={"bootstrap_servers": ""} if of_a_stack else {},
        database={"url": ""} if settings.database.url and is_embedded(settings.database.url) else {},
        router={"shadow_share": 0.0},
    )


def _settings_of_run(settings: Settings, policy: PolicyFiles, run_id: str) -> Settings:
    selector = settings.selector
    admission = selector.admission.model_copy(update={"deadline_seconds": settings.evaluation.deadline_seconds})
    lora = settings.learner.lora.model_copy(update={"rank": policy.lora_rank})
    return with_changes(
        settings,
        run={"id": run_id},
        model={"path": str(policy.base)},
        selector={"admission": admission.model_dump()},
        learner={"lora": lora.model_dump(), "replay": type(settings.learner.replay)().model_dump()},
    )


def _services_for(plan: EvaluationPlan) -> Callable[[Settings, Path], list[ServiceSpec]]:
    """The services that the prompts need. The evaluation itself is in the place of selector and learner."""
    names = {Service.ROUTER, Service.DIFFICULTY, Service.ROLLOUT}
    names |= {Service.RTV if prompt.by_verifier else Service.GENRM for prompt in plan.lacking}
    return lambda settings, file: [spec for spec in service_specs(settings, file) if spec.name in names]


@dataclass(slots=True)
class _Pause:
    """Waits between two rounds, and shows a line every ten seconds. Raises ServicesEndedError or DiskFullError if the
    services gave up.
    """

    supervisor: Supervisor
    folder: Path
    show: Show
    started: float = 0.0
    shown_at: float = 0.0

    def __call__(self, progress: Progress) -> None:
        end = self.supervisor.wait(_POLL_SECONDS)
        if end is not None:
            raise self._why(end)
        now = time.monotonic()
        self.started = self.started or now
        if now - max(self.started, self.shown_at) >= _SHOW_SECONDS:
            self.shown_at = now
            failed = f", {progress.failed} failed" if progress.failed else ""
            self.show(f"  {progress.measured} of {progress.groups} measured{failed}, {now - self.started:.0f} s")

    def _why(self, end: RunEnd) -> Exception:
        if end.outcome is RunOutcome.DISK_FULL:
            return disk.DiskFullError(self.folder, end.message)
        return ServicesEndedError(end.message)


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
