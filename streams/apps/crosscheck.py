"""The cross-check stage: second scorers judge held-out responses and a sample of what was rewarded, read from the log.

It is a process and a consumer group of its own. So neither a scorer, nor the learner, nor the difficulty stage, for
whose rows the selector waits, ever waits for a second scorer, whatever that one does; its crash or lag is its own.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from infra.db.engine import connect
from infra.db.rescores import write_rescored
from infra.settings.crosscheck import OTHER_JUDGE, THIS_JUDGE
from infra.settings.tree import Settings
from streams.apps.base import Stage, StageHandlers
from streams.apps.exploitation import keep_exploitation
from streams.apps.stage_process import run_stage
from streams.clients import make_producer
from streams.topics import Topic, topic_name
from workers.scoring.crosscheck.group_spread import GroupSpread
from workers.scoring.crosscheck.handler import CrossCheckHandler
from workers.scoring.heartbeat import Heartbeat
from workers.scoring.open_scorer import open_scorer
from workers.scoring.rescore.run import ScoreWriter
from workers.scoring.rescore.topics import GENRM, ScorerId, create_rescored_topic
from workers.scoring.retrying import RetryingScorer
from workers.scoring.scoring_handler import ScoringHandler

_MARGIN_SECONDS = 120.0
"""Time in addition to the judge's own: verdicts of verifiers, deliveries, and one transaction."""


def main(settings: Settings, bootstrap: str) -> None:
    """Serves until SIGTERM or SIGINT. Raises BrokerUnavailableError, DatabaseUnavailableError, and whatever opening a
    scorer raises.
    """
    os.nice(settings.crosscheck.nice)
    stage = stage_of(settings)
    run_stage(settings, bootstrap, stage, partial(open_handlers, settings, stage))


def stage_of(settings: Settings) -> Stage:
    crosscheck, genrm = settings.crosscheck, settings.genrm
    return Stage(
        name="crosscheck",
        source=Topic.SCORED,
        batch=crosscheck.batch,
        max_batch_wait_seconds=crosscheck.max_batch_wait_seconds,
        heartbeat=Heartbeat(2 * genrm.attempts * genrm.timeout_seconds + _MARGIN_SECONDS),
    )


@asynccontextmanager
async def open_handlers(settings: Settings, stage: Stage) -> AsyncIterator[StageHandlers]:
    """Raises DatabaseUnavailableError, ScorerNotInstalledError, and whatever loading a judge raises."""
    crosscheck, broker = settings.crosscheck, settings.broker
    engine = connect(settings.database.full_url(), settings.database.connect_timeout_seconds)
    async with AsyncExitStack() as stack:
        stack.callback(engine.dispose)
        producer = make_producer(broker, broker.bootstrap_servers)
        stack.callback(producer.close, timeout=1)
        scorers = {
            name: await stack.enter_async_context(_open_second_scorer(name, settings, stage))
            for name in sorted(set(crosscheck.scorers.values()))
        }
        reading = asyncio.create_task(keep_exploitation(engine, settings.run.id))
        stack.callback(reading.cancel)
        writer = ScoreWriter(
            producer=producer,
            request_timeout_seconds=broker.request_timeout_seconds,
            rows=partial(write_rescored, engine),
        )
        yield StageHandlers(
            CrossCheckHandler(
                settings=crosscheck,
                scorers=scorers,
                write=writer.write,
                spread=GroupSpread(crosscheck.edit_responses, crosscheck.edit_characters),
            ).handle
        )


@asynccontextmanager
async def _open_second_scorer(name: str, settings: Settings, stage: Stage) -> AsyncIterator[ScoringHandler]:
    """`name`: as in `crosscheck.scorers`. Canaries are left to the genrm stage."""
    judge = settings.crosscheck.other_judge(settings.genrm) if name == OTHER_JUDGE else settings.genrm
    own = settings.model_copy(update={"genrm": judge.model_copy(update={"canary_every": 0})})
    wanted = ScorerId(GENRM if name in (THIS_JUDGE, OTHER_JUDGE) else name)
    async with open_scorer(wanted, own, stage.heartbeat.beat) as opened:
        yield ScoringHandler(
            stage=stage.name,
            route=opened.route,
            scorer=RetryingScorer(
                stage=stage.name, scorer=opened.scorer, retry=opened.retry, heartbeat=stage.heartbeat
            ),
            scored=create_rescored_topic(settings, settings.broker.bootstrap_servers, opened.id),
            dead_letters=topic_name(settings.topics.prefix, Topic.DEAD_LETTERS),
            largest=settings.broker.max_message_bytes,
            rewards=False,
        )
