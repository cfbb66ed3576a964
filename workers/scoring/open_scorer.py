"""Opens the scorer that a user names by NAME or NAME@VERSION, if exactly that version is installed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from infra.settings.tree import Settings
from streams.messages import Route
from workers.judges.canary import canary_requests
from workers.judges.factory import build_judge
from workers.scoring.rescore.topics import GENRM, ScorerId
from workers.scoring.retrying import Retry, Scorer
from workers.scoring.scorers import JudgeScorer, VerifierOverride, VerifierScorer
from workers.scoring.veto import VetoScorer
from workers.verifiers.pool.pool import VerifierPool
from workers.verifiers.registry import load_verifier, verifier_names


class ScorerNotInstalledError(LookupError):
    """No scorer of that name or version is installed; the message lists the installed ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledScorer:
    id: ScorerId
    """Its version is the installed one."""
    route: Route
    scorer: Scorer
    retry: Retry
    batch: int
    """Number of rollouts per request."""


@asynccontextmanager
async def open_scorer(
    wanted: ScorerId, settings: Settings, on_verdict: Callable[[], None] = lambda: None
) -> AsyncIterator[InstalledScorer]:
    """Opens a scorer, and closes it at the end of the block; verifier processes start with the first rollout.
    `on_verdict` is called after each verdict of a verifier.

    Raises ScorerNotInstalledError, and whatever loading a judge raises (workers.judges.factory).
    """
    if wanted.name == GENRM:
        async with _open_judge(wanted, settings, on_verdict) as found:
            yield found
        return
    if wanted.name not in verifier_names():
        raise ScorerNotInstalledError(f"no scorer is called {wanted.name!r}; {_list_installed()}")
    found_id = _require_version(wanted, load_verifier(wanted.name).version)
    rtv = settings.rtv
    pool = VerifierPool(rtv, on_verdict)
    try:
        yield InstalledScorer(
            id=found_id,
            route=Route.RTV,
            scorer=VerifierOverride(VerifierScorer(pool), wanted.name),
            retry=Retry(attempts=rtv.attempts, backoff_seconds=rtv.backoff_seconds),
            batch=rtv.batch,
        )
    finally:
        await pool.close()


@asynccontextmanager
async def _open_judge(
    wanted: ScorerId, settings: Settings, on_verdict: Callable[[], None]
) -> AsyncIterator[InstalledScorer]:
    genrm = settings.genrm
    judge = await asyncio.to_thread(build_judge, genrm, settings.run.prepared)
    pool = VerifierPool(settings.rtv, on_verdict)
    try:
        yield InstalledScorer(
            id=_require_version(wanted, judge.version),
            route=Route.GENRM,
            scorer=VetoScorer(judge=JudgeScorer(judge, genrm, canary_requests), pool=pool, calibrated_share=0.0),
            retry=Retry(attempts=genrm.attempts, backoff_seconds=genrm.backoff_seconds),
            batch=genrm.batch,
        )
    finally:
        await pool.close()
        judge.close()


def _require_version(wanted: ScorerId, version: str) -> ScorerId:
    """Returns the id with the installed version. Raises ScorerNotInstalledError if another was wanted."""
    if wanted.version not in ("", version):
        hint = "; the settings' genrm section names the judge (--recipe, --set)" if wanted.name == GENRM else ""
        installed = f"{wanted.name}@{version} is; {_list_installed()}"
        raise ScorerNotInstalledError(f"{wanted} is not installed, {installed}{hint}")
    return ScorerId(wanted.name, version)


def _list_installed() -> str:
    verifiers = ", ".join(f"{name}@{load_verifier(name).version}" for name in verifier_names())
    return f"verifiers: {verifiers}; and {GENRM}, the judge of the settings"
