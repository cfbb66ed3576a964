"""The process around one stage: it serves until it is told to stop or something fails, and never lingers.

Invariant: SIGTERM and SIGINT end in a bounded drain and exit code 0; a failed batch, a crashed Faust service and
a stalled consumer raise, so that the supervisor starts the process again from the committed offsets.
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from infra.settings.tree import Settings
from streams.admin import require_topics
from streams.apps.base import BatchAgent, Handler, Stage, build_app
from streams.apps.driver import StageApp
from streams.lag import LagWatchdog, lag_of, publish_lag

log = logging.getLogger(__name__)

HandlerFactory = Callable[[], AbstractAsyncContextManager[Handler]]
"""Opens what the stage works with (a pool, a model, a database) and closes it at the end."""

_DRAIN_SECONDS = 3.0
_STOP_SECONDS = 2.0
"""Together the five seconds in which every process of a stack ends."""
_OBSERVE_SECONDS = 1.0
_STALL_SECONDS = 60.0
"""Without a batch in work nothing legitimate takes so long: a rebalance takes half a session timeout."""


class StageCrashedError(RuntimeError):
    """A service inside Faust crashed."""


def run_stage(settings: Settings, bootstrap: str, stage: Stage, open_handler: HandlerFactory) -> None:
    """Serve until SIGTERM or SIGINT; a failure ends the process with exit code 1. Raises BrokerUnavailableError,
    LookupError where a topic does not exist, and what opening the handler raises.
    """
    require_topics(settings, bootstrap)
    asyncio.run(_serve(settings, bootstrap, stage, open_handler))


async def _serve(settings: Settings, bootstrap: str, stage: Stage, open_handler: HandlerFactory) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    failed = False
    async with open_handler() as handler:
        app = build_app(settings, bootstrap, stage)
        agent = BatchAgent(app, settings, stage, handler)
        try:
            await app.start()
            log.info("serving %s as group %s", stage.source, app.conf.id)
            await _until_stopped(app, agent, stage, stopping)
        except Exception:
            log.exception("stage %s failed; its open batch is done again after the restart", stage.name)
            failed = True
        drained = failed or await _bounded(_drain(app, agent), _DRAIN_SECONDS)
        stopped = await _bounded(app.stop(), _STOP_SECONDS)
    if failed or not (drained and stopped):
        _leave(1 if failed else 0)


def _leave(code: int) -> None:
    """End at once: a judge's thread cannot be interrupted, and the interpreter would wait for it."""
    log.warning("leaving with code %d and work in hand; it is done again after the restart", code)
    logging.shutdown()
    os._exit(code)


async def _drain(app: StageApp, agent: BatchAgent) -> None:
    await agent.drain()
    await app.consumer.commit()


async def _until_stopped(app: StageApp, agent: BatchAgent, stage: Stage, stopping: asyncio.Event) -> None:
    watchdog = LagWatchdog(_STALL_SECONDS, stage.batch_limit_seconds)
    either: set[asyncio.Future[Any]] = {asyncio.ensure_future(stopping.wait()), agent.failure}
    while True:
        await asyncio.wait(either, timeout=_OBSERVE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if agent.failure.done():
            raise agent.failure.result()
        if app.crashed:
            raise StageCrashedError(f"stage {stage.name}: {app.crash_reason!r}") from app.crash_reason
        if stopping.is_set():
            return
        await _observe(agent, stage, watchdog)


async def _observe(agent: BatchAgent, stage: Stage, watchdog: LagWatchdog) -> None:
    ledger = agent.consumer.ledger
    positions = ledger.positions()
    lag = lag_of(positions, await agent.consumer.ends())
    publish_lag(stage.name, lag, ledger.oldest())
    watchdog.observe(time.monotonic(), positions, sum(lag.values()), busy=agent.busy)


async def _bounded(work: Awaitable[object], seconds: float) -> bool:
    """Whether it ended in time; what it raises is logged, since the process is ending anyway."""
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        return False
    except Exception:
        log.exception("while stopping")
        return False
    return True
