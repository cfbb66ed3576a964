"""The RTV stage: scores rollouts whose prompt names a verifier, in processes that can be killed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from infra.settings.tree import Settings
from streams.apps.base import Stage, StageHandlers
from streams.apps.stage_process import run_stage
from streams.messages import Route
from streams.topics import Topic, topic_name
from workers.scoring.heartbeat import Heartbeat
from workers.scoring.retrying import Retry, RetryingScorer
from workers.scoring.scorers import VerifierScorer
from workers.scoring.scoring_handler import ScoringHandler
from workers.verifiers.pool.child import START_SECONDS
from workers.verifiers.pool.pool import DEATHS, VerifierPool

_MARGIN_SECONDS = 60.0
"""Time in addition to one verdict's own: deliveries."""


def main(settings: Settings, bootstrap: str) -> None:
    """Serves until SIGTERM or SIGINT; SIGHUP replaces the verifier processes. Raises BrokerUnavailableError."""
    stage = stage_of(settings)
    run_stage(settings, bootstrap, stage, partial(open_handlers, settings, stage))


def stage_of(settings: Settings) -> Stage:
    rtv = settings.rtv
    budget = max(rtv.timeout_seconds, rtv.sandbox.budget_seconds)
    return Stage(
        name="rtv",
        source=Topic.RTV_REQUESTS,
        batch=rtv.batch,
        max_batch_wait_seconds=rtv.max_batch_wait_seconds,
        heartbeat=Heartbeat(DEATHS * (budget + START_SECONDS) + _MARGIN_SECONDS),
    )


@asynccontextmanager
async def open_handlers(settings: Settings, stage: Stage) -> AsyncIterator[StageHandlers]:
    """Raises NotStartedError if a verifier process does not start."""
    rtv, prefix = settings.rtv, settings.topics.prefix
    pool = VerifierPool(rtv, on_verdict=stage.heartbeat.beat)
    try:
        await pool.start()
        scoring = ScoringHandler(
            stage=stage.name,
            route=Route.RTV,
            scorer=RetryingScorer(
                stage=stage.name,
                scorer=VerifierScorer(pool),
                retry=Retry(attempts=rtv.attempts, backoff_seconds=rtv.backoff_seconds),
                heartbeat=stage.heartbeat,
            ),
            scored=topic_name(prefix, Topic.SCORED),
            dead_letters=topic_name(prefix, Topic.DEAD_LETTERS),
            largest=settings.broker.max_message_bytes,
        )
        yield StageHandlers(scoring.handle, pool.renew)
    finally:
        await pool.close()
