"""GenRM: rollouts scored by a generative judge, one judge call a batch."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from infra.settings.tree import Settings
from streams.apps.base import Handler, Stage
from streams.apps.process import run_stage
from streams.messages import Route
from streams.services.scorers import JudgeScorer
from streams.services.scoring import Retry, Scoring
from streams.topics import Topic, topic_name
from workers.judges.canary import canary_requests
from workers.judges.factory import build_judge

_MARGIN_SECONDS = 60.0
"""Beyond the judge's own time: canaries, deliveries."""


def main(settings: Settings, bootstrap: str) -> None:
    """Serves until SIGTERM or SIGINT. Raises BrokerUnavailableError, and what loading the judge raises."""
    genrm, prefix = settings.genrm, settings.topics.prefix
    judge_seconds = genrm.timeout_seconds + genrm.backoff_seconds * 2**genrm.attempts
    stage = Stage(
        name="genrm",
        source=Topic.GENRM_REQUESTS,
        batch=genrm.batch,
        within_seconds=genrm.within_seconds,
        batch_limit_seconds=genrm.attempts * judge_seconds + _MARGIN_SECONDS,
    )

    @asynccontextmanager
    async def handler() -> AsyncIterator[Handler]:
        judge = await asyncio.to_thread(build_judge, genrm, settings.run.prepared)
        try:
            scoring = Scoring(
                stage=stage.name,
                route=Route.GENRM,
                scorer=JudgeScorer(judge, genrm, canary_requests),
                retry=Retry(attempts=genrm.attempts, backoff_seconds=genrm.backoff_seconds),
                scored=topic_name(prefix, Topic.SCORED),
                dead_letters=topic_name(prefix, Topic.DEAD_LETTERS),
            )
            yield scoring.handle
        finally:
            judge.close()

    run_stage(settings, bootstrap, stage, handler)
