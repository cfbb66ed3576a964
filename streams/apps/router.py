"""The router stage: sends each rollout to the topic of its scorer, by header, with the body untouched."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from infra.settings.tree import Settings
from streams.apps.base import Stage, StageHandlers
from streams.apps.routing import RoutingHandler
from streams.apps.stage_process import run_stage
from streams.messages import Route
from streams.topics import Topic, topic_name
from workers.scoring.heartbeat import Heartbeat

_BATCH_LIMIT_SECONDS = 120.0
"""A batch consists of deliveries alone, and the producer gives up each of them earlier."""


def main(settings: Settings, bootstrap: str) -> None:
    """Serves until SIGTERM or SIGINT. Raises BrokerUnavailableError."""
    stage = stage_of(settings)
    run_stage(settings, bootstrap, stage, partial(open_handlers, settings, stage))


def stage_of(settings: Settings) -> Stage:
    return Stage(
        name="router",
        source=Topic.ROLLOUTS,
        batch=settings.router.batch,
        max_batch_wait_seconds=settings.router.max_batch_wait_seconds,
        heartbeat=Heartbeat(_BATCH_LIMIT_SECONDS),
    )


@asynccontextmanager
async def open_handlers(settings: Settings, stage: Stage) -> AsyncIterator[StageHandlers]:
    prefix = settings.topics.prefix
    routing = RoutingHandler(
        stage=stage.name,
        topics={
            Route.RTV: topic_name(prefix, Topic.RTV_REQUESTS),
            Route.GENRM: topic_name(prefix, Topic.GENRM_REQUESTS),
        },
        dead_letters=topic_name(prefix, Topic.DEAD_LETTERS),
        shadow_share=settings.router.shadow_share,
        largest=settings.broker.max_message_bytes,
    )
    yield StageHandlers(routing.handle)
