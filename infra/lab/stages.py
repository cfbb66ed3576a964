"""Feeds the handlers of router, scorers and difficulty sink from the log, all on one event loop.

Invariant: a batch's outputs are acknowledged by the broker before its stage reads on. The handlers are those of the
stages' own processes (streams.apps); only the loop that feeds them is another one.
"""

import asyncio
import threading
from contextlib import AsyncExitStack, ExitStack
from types import ModuleType

from infra.settings.tree import Settings
from streams.apps import crosscheck, difficulty, genrm, router, rtv
from streams.apps.base import Handler, Stage
from streams.clients import LogReader, confirm, make_producer, send
from streams.records import Record
from streams.topics import topic_name

STAGES: tuple[ModuleType, ...] = (router, rtv, genrm, difficulty)
_POLL_SECONDS = 0.2
"""A stage notices the end of its run within this time."""
_FILL_SECONDS = 0.005
"""Shortest poll while a batch fills: the producer's own linger."""


def serve_stages(settings: Settings, bootstrap: str, stop: threading.Event, served: threading.Event) -> None:
    """Serves one run until `stop` is set; sets `served` once every handler is open. Raises what opening one, a handler
    or a delivery raises.
    """
    try:
        asyncio.run(_serve(settings, bootstrap, stop, served))
    except ExceptionGroup as group:
        raise group.exceptions[0] from group


async def _serve(settings: Settings, bootstrap: str, stop: threading.Event, served: threading.Event) -> None:
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        for app in (*STAGES, crosscheck) if settings.crosscheck.scorers else STAGES:
            stage: Stage = app.stage_of(settings)
            handlers = await stack.enter_async_context(app.open_handlers(settings, stage))
            tasks.create_task(_feed(settings, bootstrap, stage, handlers.handle, stop))
        served.set()


async def _feed(settings: Settings, bootstrap: str, stage: Stage, handle: Handler, stop: threading.Event) -> None:
    broker, source = settings.broker, topic_name(settings.topics.prefix, stage.source)
    with ExitStack() as stack:
        producer = make_producer(broker, bootstrap)
        stack.callback(producer.close)
        reader = stack.enter_context(LogReader(broker, bootstrap, [source]))
        while not stop.is_set():
            records = await asyncio.to_thread(_batch, reader, stage)
            if not records:
                continue
            async with stage.heartbeat.watch():
                outputs = await handle(records)
            deliveries = [send(producer, output) for output in outputs]
            if deliveries:
                await asyncio.to_thread(confirm, producer, deliveries, broker.request_timeout_seconds)


def _batch(reader: LogReader, stage: Stage) -> list[Record]:
    """Waits for a record, then for the batch to fill."""
    records = reader.poll(_POLL_SECONDS, stage.batch)
    if records and len(records) < stage.batch:
        threading.Event().wait(stage.max_batch_wait_seconds)
        records += reader.poll(_FILL_SECONDS, stage.batch - len(records))
    return records
