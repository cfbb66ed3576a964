"""One stage as a Faust app: batches of raw records in, outputs out.

Invariant: a record counts as done when every output of its batch was acknowledged by the broker. A batch that
fails is never acknowledged: the failure is reported to the process, which exits, and the records are read again.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from mode.supervisors import CrashingSupervisor

from infra.metrics import metrics
from infra.outages import RETRY_SECONDS, PartWait, is_outage
from infra.progress import StageProgress
from infra.settings.tree import Settings
from streams.apps.batch_traces import TracedStage, traces_of
from streams.apps.credentials import credentials_of
from streams.apps.faust_driver import BatchLimits, BatchProducer, LedgerConsumer, StageApp
from streams.dead_letters import reason_of, within
from streams.log_clock import measure_skew
from streams.records import Output, Record
from streams.topics import Topic, topic_name
from workers.scoring.heartbeat import Heartbeat

log = logging.getLogger(__name__)

Handler = Callable[[list[Record]], Awaitable[list[Output]]]

_COMMIT_SECONDS = 1.0
"""A crash repeats at most the work that a stage does in this time."""
_PRODUCER_BATCH_BYTES = 2**20
"""Rollouts are 16 KiB and more: the library's 16 KiB would hold one, and every sender would wait for every other."""
_BATCH_BYTES = 8 * 2**20
"""This is as much as one message may have. Larger batches are not routed faster, and memory is what they cost."""
_BUFFERED_BATCHES = 1
"""Records are large; one batch in work and one waiting keep a stage busy. A third waits for room in the buffer, so that
a stage holds at most three batches, and what its client fetched ahead: at most 50 MiB from a broker (aiokafka's
fetch_max_bytes)."""
_HELD_SECONDS = 7 * 86_400.0
"""A batch that is held through an outage keeps its partitions; Heartbeat and LagWatchdog find a stage that hangs."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    name: str
    source: Topic
    batch: int
    max_batch_wait_seconds: float
    heartbeat: Heartbeat
    """Limits a batch's silence, above the scorer's own timeouts."""


@dataclass(frozen=True, slots=True)
class StageHandlers:
    """The functions of a stage: for a batch, and for a request to reload its scorer (SIGHUP)."""

    handle: Handler
    reload: Callable[[], Awaitable[None]] | None = None
    """A reload that raises leaves the old scorer in place and does not end the process."""


def group_of(settings: Settings, stage: str) -> str:
    """The consumer group of a stage, which is also the Faust app's id."""
    return f"{settings.topics.prefix or settings.run.id or 'rewardstream'}.{stage}"


def build_app(settings: Settings, bootstrap: str, stage: Stage) -> StageApp:
    broker = settings.broker
    app = StageApp(
        group_of(settings, stage.name),
        broker=";".join(f"kafka://{address.strip()}" for address in bootstrap.split(",")),
        broker_credentials=credentials_of(broker.security),
        autodiscover=False,
        store="memory://",
        web_enabled=False,
        cython_optimizations=True,
        agent_supervisor=CrashingSupervisor,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        stream_buffer_maxsize=_BUFFERED_BATCHES,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        broker_session_timeout=broker.session_timeout_seconds,
        broker_heartbeat_interval=broker.session_timeout_seconds / 3,
        broker_request_timeout=max(broker.request_timeout_seconds, broker.session_timeout_seconds),
        broker_rebalance_timeout=broker.request_timeout_seconds,
        broker_max_poll_interval=_HELD_SECONDS,
        broker_max_poll_records=stage.batch,
        stream_processing_timeout=_HELD_SECONDS,
        broker_commit_livelock_soft_timeout=_HELD_SECONDS,
        broker_commit_interval=_COMMIT_SECONDS,
        consumer_group_instance_id=broker.group_instance_id or None,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=broker.max_message_bytes,
        producer_acks=-1,
        producer_max_batch_size=min(_PRODUCER_BATCH_BYTES, broker.max_message_bytes),
        producer_max_request_size=broker.max_message_bytes,
        producer_request_timeout=broker.request_timeout_seconds,
        worker_redirect_stdouts=False,
    )
    app.batch_limits = BatchLimits(records=stage.batch, bytes=_BATCH_BYTES, seconds=stage.max_batch_wait_seconds)
    return app


class BatchAgent:
    """The one agent of a stage. `failure` resolves with the exception that ended it."""

    def __init__(self, app: StageApp, settings: Settings, stage: Stage, handler: Handler) -> None:
        self._app = app
        self._stage = stage
        self._handler = handler
        self._dead_letters = topic_name(settings.topics.prefix, Topic.DEAD_LETTERS)
        self._largest = settings.broker.max_message_bytes
        self._outage_seconds = settings.broker.outage_seconds
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.failure: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        name = topic_name(settings.topics.prefix, stage.source)
        self.progress = StageProgress(stage.name, settings.selector.admission.deadline_seconds / 2)
        self._traced = TracedStage(
            topic=stage.source, group=group_of(settings, stage.name), dead_letters=self._dead_letters
        )
        self._topic = app.topic(name, key_serializer="raw", value_serializer="raw", key_type=bytes, value_type=bytes)
        app.agent(self._topic, name=stage.name, concurrency=1)(self._take_batches)

    @property
    def consumer(self) -> LedgerConsumer:
        consumer = self._app.consumer
        assert isinstance(consumer, LedgerConsumer)
        return consumer

    @property
    def busy(self) -> bool:
        """Whether a batch is in work."""
        return not self._idle.is_set()

    async def drain(self) -> None:
        """Begin no further batch; returns once the batch in work is done. After a failure it never returns."""
        self._draining = True
        await self._idle.wait()

    async def _take_batches(self, stream: Any) -> None:
        async for event in stream.noack().events():
            if self._draining:
                await _wait_forever()
            self._idle.clear()
            try:
                async with self._stage.heartbeat.watch():
                    await self._process_batch(event.message.value.records)
            except Exception as error:  # noqa: BLE001 (handed to the process, which logs it and exits)
                self.failure.set_result(error)
                # Faust acknowledges what an agent leaves behind, so a failed agent waits for the process to end.
                await _wait_forever()
            await stream.ack(event)
            self._idle.set()

    async def _process_batch(self, records: list[Record]) -> None:
        self.progress.waits(records[0].told)
        traces = traces_of(self._traced, records)
        try:
            made = await self._handler(records)
            outputs = [self._fitting(output) for output in (made if traces is None else traces.outputs(made))]
            await self._deliver(outputs)
        except Exception as error:
            if traces is not None:
                traces.end(error)
            raise
        if traces is not None:
            traces.end()
        for record in records:
            self.consumer.ledger.done(record.place)
        self.progress.moved(records[-1].told)
        self.progress.waits(None)
        self._count_batch(records, outputs)

    async def _deliver(self, outputs: list[Output]) -> None:
        """Returns once the broker has acknowledged every output; sends again what an absent broker did not take, which
        may then be in the log twice.
        """
        producer = self._app.producer
        assert isinstance(producer, BatchProducer)
        outage, left = PartWait("broker", self._outage_seconds), outputs
        while left:
            self._stage.heartbeat.beat(quiet_seconds=RETRY_SECONDS)
            refusals = await producer.send_outputs(left)
            for refusal in refusals:
                if not (is_outage(refusal.error) and outage.waits(refusal.error)):
                    raise refusal.error
            if refusals:
                await asyncio.sleep(RETRY_SECONDS)
            left = [output for refusal in refusals for output in refusal.outputs]
        outage.over()

    def _fitting(self, output: Output) -> Output:
        return within(output, self._largest) if output.topic == self._dead_letters else output

    def _count_batch(self, records: list[Record], outputs: list[Output]) -> None:
        measure_skew(records)
        for topic, count in Counter(record.topic for record in records).items():
            metrics.messages_total.labels(self._stage.name, topic).inc(count)
        for output in outputs:
            if output.topic == self._dead_letters:
                metrics.dead_letters_total.labels(self._stage.name, reason_of(output)).inc()


async def _wait_forever() -> None:
    await asyncio.get_running_loop().create_future()
