"""The process around one stage: it serves until it is told to stop or something fails, and never lingers.

Invariant: SIGTERM and SIGINT end in a bounded drain and exit code 0, also while a batch is held; a failed batch, a
crashed Faust service and a stalled consumer raise, so that the supervisor starts the process again from the committed
offsets. SIGHUP reloads the stage's scorer and ends nothing.
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, NoReturn

from infra import refusals
from infra.outages import EXIT_CODE, is_outage
from infra.readiness import mark_ready
from infra.settings.tree import Settings
from infra.tracing import spans
from streams.admin import require_topics
from streams.apps.base import BatchAgent, Stage, StageHandlers, build_app
from streams.apps.faust_driver import StageApp
from streams.apps.loop_lag import LoopLag
from streams.apps.reloading import Reloading
from streams.lag import LagWatchdog, lag_of, publish_lag, unread

log = logging.getLogger(__name__)

OpenHandlers = Callable[[], AbstractAsyncContextManager[StageHandlers]]
"""Opens what the stage works with (a pool, a model, a database) and closes it at the end."""

_DRAIN_SECONDS = 3.0
_STOP_SECONDS = 2.0
"""Drain and stop together take the five seconds in which every process of a stack must end."""
_OBSERVE_SECONDS = 1.0
_STALL_SECONDS = 60.0
"""Longer than anything legitimate takes while no batch is in work: a rebalance takes half a session timeout."""


class StageCrashedError(RuntimeError):
    """A service inside Faust crashed."""


def run_stage(settings: Settings, bootstrap: str, stage: Stage, open_handlers: OpenHandlers) -> None:
    """Serve until SIGTERM or SIGINT; a failure ends the process with exit code 1, or with that of an outage.

    Raises BrokerUnavailableError, LookupError if a topic does not exist, and whatever opening the handlers raises.
    """
    require_topics(settings, bootstrap)
    asyncio.run(_serve(settings, bootstrap, stage, open_handlers))


async def _serve(settings: Settings, bootstrap: str, stage: Stage, open_handlers: OpenHandlers) -> None:
    stopping = _listen_for_stop()
    reloading = Reloading(stage.name)
    async with AsyncExitStack() as stack:
        opening = asyncio.ensure_future(stack.enter_async_context(open_handlers()))
        either: set[asyncio.Future[Any]] = {opening, stopping}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not opening.done():
            _exit_now(0)
        app = build_app(settings, bootstrap, stage)
        reloading.serve(opening.result().reload)
        agent = BatchAgent(app, settings, stage, opening.result().handle)
        work = asyncio.ensure_future(_run_app(app, agent, stage))
        lateness = asyncio.ensure_future(LoopLag(stage.name).watch())
        error = await _wait_for_end(app, agent, work, stopping)
        if error is not None:
            log.error("stage %s failed; a restart processes its open batch again", stage.name, exc_info=error)
        drained = error is not None or await _finish_within(_drain(app, agent), _DRAIN_SECONDS)
        work.cancel()
        lateness.cancel()
        stopped = await _finish_within(app.stop(), _STOP_SECONDS)
    if error is not None or not (drained and stopped):
        _exit_now(0 if error is None else _exit_code_of(error))


def _exit_code_of(error: BaseException) -> int:
    if refusals.explain(error) is not None:
        return refusals.EXIT_CODE
    return EXIT_CODE if is_outage(error) else 1


def _listen_for_stop() -> asyncio.Future[None]:
    """The returned future resolves at the first SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[None] = loop.create_future()

    def stop() -> None:
        if not stopping.done():
            stopping.set_result(None)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return stopping


async def _run_app(app: StageApp, agent: BatchAgent, stage: Stage) -> None:
    """Starts the app, then watches its lag until cancelled. Raises StalledError, and whatever Faust's start raises."""
    await app.start()
    log.info("serving %s as group %s", stage.source, app.conf.id)
    mark_ready()
    watchdog = LagWatchdog(_STALL_SECONDS)
    agent.progress.watch()
    while True:
        ledger = agent.consumer.ledger
        positions = ledger.positions()
        lag = lag_of(positions, await agent.consumer.ends())
        publish_lag(stage.name, lag, ledger.oldest())
        if not agent.busy:
            agent.progress.waits(unread(lag, positions))
        watchdog.observe(time.monotonic(), positions, sum(lag.values()), busy=agent.busy)
        await asyncio.sleep(_OBSERVE_SECONDS)


async def _wait_for_end(
    app: StageApp, agent: BatchAgent, work: asyncio.Future[None], stopping: asyncio.Future[None]
) -> BaseException | None:
    """Returns what failed; None if the process was asked to stop."""
    waiting: set[asyncio.Future[Any]] = {work, agent.failure, stopping}
    while True:
        await asyncio.wait(waiting, timeout=_OBSERVE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if agent.failure.done():
            return agent.failure.result()
        if work.done():
            return work.exception()
        if app.crashed:
            error = StageCrashedError(f"group {app.conf.id}: {app.crash_reason!r}")
            error.__cause__ = app.crash_reason
            return error
        if stopping.done():
            return None


async def _drain(app: StageApp, agent: BatchAgent) -> None:
    await agent.drain()
    await app.consumer.commit()


def _exit_now(code: int) -> NoReturn:
    """End at once: a judge's thread cannot be interrupted, and the interpreter would wait for it."""
    log.warning("exiting with code %d; a restart does unfinished work again", code)
    spans.shut_down()
    logging.shutdown()
    os._exit(code)


async def _finish_within(work: Awaitable[object], seconds: float) -> bool:
    """Returns whether `work` ended in time. What it raises is logged, since the process is ending anyway."""
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        return False
    except Exception:
        log.exception("while stopping")
        return False
    return True
