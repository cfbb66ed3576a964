"""The difficulty stage: writes scored trajectories to Postgres, where the selector reads their statistics, and sets the
metrics of how far the routes agree.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from infra.db.engine import connect
from infra.db.sink import ScoreSink
from infra.settings.tree import Settings
from streams.apps.base import Stage, StageHandlers, group_of
from streams.apps.calibration import keep_calibration
from streams.apps.difficulty_sink import DifficultyHandler
from streams.apps.stage_process import run_stage
from streams.scored_rows import KeptTexts
from streams.topics import Topic, topic_name
from workers.scoring.heartbeat import Heartbeat

_BATCH_LIMIT_SECONDS = 120.0
"""Covers one transaction with one batch of rows, queued behind other load on the database."""


def main(settings: Settings, bootstrap: str) -> None:
    """Serves until SIGTERM or SIGINT. Raises BrokerUnavailableError, DatabaseUnavailableError."""
    stage = stage_of(settings)
    run_stage(settings, bootstrap, stage, partial(open_handlers, settings, stage))


def stage_of(settings: Settings) -> Stage:
    return Stage(
        name="difficulty",
        source=Topic.SCORED,
        batch=settings.difficulty.batch,
        max_batch_wait_seconds=settings.difficulty.max_batch_wait_seconds,
        heartbeat=Heartbeat(_BATCH_LIMIT_SECONDS),
    )


@asynccontextmanager
async def open_handlers(settings: Settings, stage: Stage) -> AsyncIterator[StageHandlers]:
    """Raises DatabaseUnavailableError."""
    engine = connect(settings.database.full_url(), settings.database.connect_timeout_seconds)
    calibration = asyncio.create_task(keep_calibration(engine, settings.run.id))
    try:
        difficulty = DifficultyHandler(
            stage=stage.name,
            sink=ScoreSink(engine, settings.difficulty.decay_per_version, group_of(settings, stage.name)),
            dead_letters=topic_name(settings.topics.prefix, Topic.DEAD_LETTERS),
            texts=KeptTexts(settings.difficulty.texts_of_first_groups, settings.difficulty.later_texts_one_in),
            outage_seconds=settings.database.outage_seconds,
            heartbeat=stage.heartbeat,
        )
        yield StageHandlers(difficulty.handle)
    finally:
        calibration.cancel()
        engine.dispose()
