"""A stage that is killed in the tests: it copies records, and holds one back while told to.

    python loss_app.py MODE SETTINGS_JSON HELD

MODE `stage` is the stage as it runs in production (batches, one after another): the held record hangs its batch, or
fails it where HELD is `fail:VALUE`.
MODES `guarded` and `unguarded` finish records out of order, the held one never: with our driver, and with Faust's.
MODE `dropping` is the stage, whose first fetch is lost, as one is that a rebalance overtakes.
HELD is the value that is held back; nothing is where it is empty.
"""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import faust

from infra.settings.tree import Settings
from streams.apps import base
from streams.apps.base import Stage, StageHandlers, build_app
from streams.apps.faust_driver import LedgerConsumer, RecordBatch
from streams.apps.stage_process import run_stage
from streams.records import Output, Record
from streams.topics import Topic, topic_name
from workers.scoring.heartbeat import Heartbeat

BATCH = 4
FAIL = b"fail:"


def stage_of(mode: str) -> Stage:
    return Stage(name=mode, source=Topic.ROLLOUTS, batch=BATCH, max_batch_wait_seconds=0.05, heartbeat=Heartbeat(60))


def drop_first_fetch() -> None:
    fetch = LedgerConsumer._wait_next_records
    dropped: list[object] = []

    async def drop(self: LedgerConsumer, timeout: float) -> tuple[object, object]:  # noqa: ASYNC109 (Faust's)
        fetched, active = await fetch(self, timeout)
        if fetched and not dropped:
            dropped.append(fetched)
            print("dropped", flush=True)
            return None, active
        return fetched, active

    LedgerConsumer._wait_next_records = drop


def run_as_stage(settings: Settings, target: str, held: bytes, name: str) -> None:
    failing, held = held.startswith(FAIL), held.removeprefix(FAIL)

    @asynccontextmanager
    async def handler() -> AsyncIterator[StageHandlers]:
        async def copy(records: list[Record]) -> list[Output]:
            values = [record.value for record in records]
            if failing and held in values:
                raise ZeroDivisionError(held)
            if held in values:
                print("holding", flush=True)
                await asyncio.Event().wait()
            return [Output(target, record.key, record.value, record.headers) for record in records]

        yield StageHandlers(copy)

    run_stage(settings, settings.broker.bootstrap_servers, stage_of(name), handler)


async def run_out_of_order(settings: Settings, mode: str, target: str, held: bytes) -> None:
    if mode == "unguarded":
        base.StageApp = faust.App
    app = build_app(settings, settings.broker.bootstrap_servers, stage_of(mode))
    source = app.topic(topic_name(settings.topics.prefix, Topic.ROLLOUTS), key_serializer="raw", value_serializer="raw")

    @app.agent(source, name=mode)
    async def copy(stream: faust.Stream[bytes]) -> None:
        async for event in stream.noack().events():
            message = event.message
            # A message of our driver is a batch of records; Faust's own has the same fields as one of them.
            records = message.value.records if isinstance(message.value, RecordBatch) else [message]
            for record in records:
                if record.value == held:
                    continue
                await (await app.producer.send(target, record.key, record.value, None, None, None))
                if isinstance(app.consumer, LedgerConsumer):
                    app.consumer.ledger.done(record.place)
                event.ack()

    await app.start()
    await asyncio.Event().wait()


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    mode, settings_json, held = sys.argv[1:]
    settings = Settings.model_validate_json(settings_json)
    target = f"{topic_name(settings.topics.prefix, Topic.SCORED)}"
    if mode == "dropping":
        drop_first_fetch()
    if mode in {"stage", "dropping"}:
        run_as_stage(settings, target, held.encode(), mode)
    else:
        asyncio.run(run_out_of_order(settings, mode, target, held.encode()))


if __name__ == "__main__":
    main()
