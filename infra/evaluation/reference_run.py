"""Picks references for the prompts that have none, through a stack of its own: the SFT model answers each N times, and
a Bradley-Terry model picks the best (arXiv 2503.22230).

Invariant: a prompt that has something to be judged by is not asked. The command may be interrupted and repeated at any
moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.evaluation.own_stack import (
    Show,
    migrated_engine,
    run_task,
    settings_of_run,
    show_on_stderr,
    with_own_stack,
)
from infra.local import run_folder
from infra.services import Service
from infra.settings.genrm import GenRMSettings
from infra.settings.load import with_changes
from infra.settings.tree import Settings
from trainer.evaluator.policy_files import find_policy
from trainer.evaluator.stored import failures_of
from trainer.reward_models.reference_plan import ReferencePlan
from trainer.reward_models.reference_store import PickSettings, open_prompts
from workers.judges.reward_model import require_reward_model
from workers.models.model_files import resolve_model

_KIND = "references"
"""Suffix of the id of a run that picks references."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceSummary:
    prompts: int
    """Prompts that had nothing to be judged by."""
    picked: int = 0
    without_content: int = 0
    """Prompts none of whose responses has content; the next command asks them again."""
    failures: dict[str, int]
    """Why groups have no result -> their number; the next command asks them again."""
    reward_model: str
    run: str | None = None
    """Id of the run that generated; None if no prompt lacked a reference."""
    seconds: float = 0.0
    violations: int = 0
    """Violations that the audit of the run found."""


def pick_missing(
    settings: Settings,
    reward_model: Path,
    *,
    samples: int,
    keep: int,
    model: str | None = None,
    domains: Sequence[str] = (),
    limit: int = 0,
    show: Show = show_on_stderr,
) -> ReferenceSummary:
    """Picks references for every prompt that has none, of the domains if any are named, at most `limit` if it is not 0.

    `model` is the SFT model, as `rewardstream evaluate` names models; without it, model.path. Raises ModelFilesError,
    RewardModelError, ServicesEndedError if the services cannot run, and what starting a stack raises.
    """
    settings = with_own_stack(settings)
    folder = resolve_model(str(reward_model), settings.run.prepared, setting="--reward-model")
    require_reward_model(folder)
    policy = find_policy(model or settings.model.path, settings.run.folder, settings.run.prepared)
    with migrated_engine(settings) as engine, engine.connect() as connection:
        prompts = open_prompts(connection, domains, limit)
    if not prompts:
        show("every prompt has something to be judged by")
        return ReferenceSummary(prompts=0, failures={}, reward_model=str(folder))
    run_id, place = run_folder.make_beside(settings.run.folder, _KIND)
    show(f"{len(prompts)} prompts without a reference: {samples} responses each, in {place}")
    plan = ReferencePlan(policy, samples, settings.run.seed, prompts, _pick_settings(settings, policy.digest, keep))
    run = with_changes(settings_of_run(settings, policy, run_id), genrm=_judged_by(settings, folder))
    done = run_task(run, plan, {Service.GENRM}, show)
    with migrated_engine(settings) as engine, engine.connect() as connection:
        failures = failures_of(connection, run_id)
    return ReferenceSummary(
        prompts=len(prompts),
        picked=plan.picked.picked,
        without_content=plan.picked.without_content,
        failures=failures,
        reward_model=str(folder),
        run=run_id,
        seconds=done.seconds,
        violations=done.violations,
    )


def _pick_settings(settings: Settings, policy: str, keep: int) -> PickSettings:
    sampling = settings.rollout.sampling
    return PickSettings(
        keep, policy, lambda domain: sampling.max_new_tokens_by_domain.get(domain, sampling.max_new_tokens)
    )


def _judged_by(settings: Settings, folder: Path) -> dict[str, object]:
    """The section `genrm` of the run: the reward model judges, without canaries, which are for judges that pay."""
    old = settings.genrm
    new = GenRMSettings(
        backend="bt", model=str(folder), dtype=old.dtype, threads=old.threads, batch=old.batch, canary_every=0
    )
    return new.model_dump()
