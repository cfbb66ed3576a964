"""The GenRM stage: a generative judge scores rollouts, in one call per batch, unless the prompt's verifier vetoes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from infra.settings.tree import Settings
from streams.apps.base import Stage, StageHandlers
from streams.apps.stage_process import run_stage
from streams.messages import Route
from streams.topics import Topic, topic_name
from workers.judges.canary import canary_requests
from workers.judges.factory import build_judge
from workers.scoring.heartbeat import Heartbeat
from workers.scoring.retrying import Retry, RetryingScorer
from workers.scoring.scorers import JudgeScorer
from workers.scoring.scoring_handler import ScoringHandler
from workers.scoring.veto import VetoScorer
from workers.verifiers.pool.pool import VerifierPool

log = logging.getLogger(__name__)

_MARGIN_SECONDS = 60.0
"""Time in addition to the judge's own: vetoes, canaries, deliveries, and a reload that a batch waits for."""


def main(settings: Settings, bootstrap: str, reread: Callable[[], Settings] | None = None) -> None:
    """Serves until SIGTERM or SIGINT; SIGHUP rebuilds the judge from the section `genrm` of the settings that `reread`
    returns. Raises BrokerUnavailableError, and whatever loading the judge raises.
    """
    stage = stage_of(settings)
    run_stage(settings, bootstrap, stage, partial(open_handlers, settings, stage, reread))


def stage_of(settings: Settings) -> Stage:
    genrm = settings.genrm
    return Stage(
        name="genrm",
        source=Topic.GENRM_REQUESTS,
        batch=genrm.batch,
        max_batch_wait_seconds=genrm.max_batch_wait_seconds,
        heartbeat=Heartbeat(2 * genrm.attempts * genrm.timeout_seconds + _MARGIN_SECONDS),
    )


@asynccontextmanager
async def open_handlers(
    settings: Settings, stage: Stage, reread: Callable[[], Settings] | None = None
) -> AsyncIterator[StageHandlers]:
    """Raises whatever loading the judge raises."""
    genrm, prefix = settings.genrm, settings.topics.prefix
    judge = await asyncio.to_thread(build_judge, genrm, settings.run.prepared)
    scorer = JudgeScorer(judge, genrm, canary_requests)
    pool = VerifierPool(settings.rtv, on_verdict=stage.heartbeat.beat)  # its processes start with the first veto
    try:
        scoring = ScoringHandler(
            stage=stage.name,
            route=Route.GENRM,
            scorer=RetryingScorer(
                stage=stage.name,
                scorer=VetoScorer(judge=scorer, pool=pool, calibrated_share=settings.router.shadow_share),
                retry=Retry(attempts=genrm.attempts, backoff_seconds=genrm.backoff_seconds),
                heartbeat=stage.heartbeat,
            ),
            scored=topic_name(prefix, Topic.SCORED),
            dead_letters=topic_name(prefix, Topic.DEAD_LETTERS),
            largest=settings.broker.max_message_bytes,
        )

        async def reload() -> None:
            await _exchange_judge(scorer, settings if reread is None else await asyncio.to_thread(reread))
            await pool.renew()

        yield StageHandlers(scoring.handle, reload)
    finally:
        scorer.close()
        await pool.close()


async def _exchange_judge(scorer: JudgeScorer, settings: Settings) -> None:
    """Both judges are in memory until the old one has given its last answer. Raises whatever loading a judge raises."""
    judge = await asyncio.to_thread(build_judge, settings.genrm, settings.run.prepared)
    await scorer.exchange(judge, settings.genrm)
    log.warning("the judge is now %s version %s", judge.name, judge.version)
