"""The rollout worker: tickets in, rollouts out, under the newest policy version.

Invariant: a ticket's offset is committed only after every rollout of its group, and every earlier ticket of its
partition, is acknowledged by the broker. A worker that is killed leaves its tickets to be read again; the ids of what
it had published already make the repetition harmless.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from kafka import KafkaConsumer, KafkaProducer

from infra.metrics import metrics
from infra.settings.tree import Settings
from streams.clients import LogReader, confirm, make_consumer, make_producer, publish, send
from streams.codec import DecodeError, decode
from streams.dead_letters import dead_letter, reason_of
from streams.messages import PromptTicket
from streams.records import Record
from streams.route_headers import route_headers
from streams.topics import Topic, topic_name
from workers.engines.base import Engine, Generation
from workers.engines.factory import make_engine
from workers.models.model_files import resolve_model
from workers.models.weight_cache import WeightCache
from workers.rollout.build_rollout import build_request, build_rollout
from workers.rollout.deliveries import Deliveries, Sent
from workers.rollout.intake import STAGE, TicketIntake
from workers.rollout.policy import PolicyFollower
from workers.rollout.tickets import TicketBook

log = logging.getLogger(__name__)

_IDLE_SECONDS = 0.1
"""How long an idle worker waits for a ticket before it looks for a new version again."""
_COMMIT_SECONDS = 0.5
"""What a crash may repeat of work that is already acknowledged; far below a group's seconds."""
_DRAIN_SECONDS = 1.2
"""Four times in the five seconds that a stop may take: acknowledgements, the commit, closing consumer and producer."""
_QUEUED_PER_SLOT = 2
"""Samples taken in for each slot of the engine: one set generates, one waits, the rest is left to other workers."""


class RolloutWorker:
    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        consumer: KafkaConsumer,
        producer: KafkaProducer,
        versions: LogReader,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._producer = producer
        self._intake = TicketIntake(consumer, topic_name(settings.topics.prefix, Topic.PROMPTS))
        cache = WeightCache(settings.run.folder / settings.run.id / "fetched")
        self._policy = PolicyFollower(versions, engine, cache, settings.run.id, self._set_aside)
        self._dead_letters_topic = topic_name(settings.topics.prefix, Topic.DEAD_LETTERS)
        self._rollouts_topic = topic_name(settings.topics.prefix, Topic.ROLLOUTS)
        self._book = TicketBook()
        self._deliveries = Deliveries()
        self._capacity = _QUEUED_PER_SLOT * settings.rollout.engine.max_running
        self._follow_at = 0.0
        self._commit_at = 0.0

    def turn(self) -> None:
        """One round: versions, tickets, one step of the engine, what came out of it."""
        now = time.monotonic()
        if now >= self._follow_at:
            self._policy.follow()
            self._follow_at = now + self._settings.rollout.poll_policy_seconds
        self._policy.swap()
        self._take_tickets()
        self._start_groups()
        if self._engine.running:
            for generation in self._engine.step():
                self._publish(generation)
        self._settle_deliveries()
        if now >= self._commit_at:
            self._intake.commit()
            self._intake.measure(self._book.oldest())
            metrics.engine_running.set(self._engine.running)
            self._commit_at = now + _COMMIT_SECONDS

    @property
    def groups(self) -> int:
        """In work: read and not yet wholly acknowledged."""
        return len(self._book)

    @property
    def generating(self) -> int:
        """Samples in the engine."""
        return self._engine.running

    def drain(self) -> None:
        """Before a stop: commit what is acknowledged within a bounded time; unfinished groups are read again."""
        self._producer.flush(timeout=_DRAIN_SECONDS)
        self._settle_deliveries()
        self._intake.commit(wait_seconds=_DRAIN_SECONDS)

    def _take_tickets(self) -> None:
        version = self._engine.weights.version
        room = self._capacity - self._book.load(version)
        idle = not self._engine.running and not self._deliveries
        for record in self._intake.poll(room, _IDLE_SECONDS if idle else 0):
            metrics.messages_total.labels(STAGE, record.topic).inc()
            if not self._accept(record):
                self._intake.done([record.place])

    def _accept(self, record: Record) -> bool:
        """False where nothing is left to do for the record."""
        try:
            ticket = decode(record.value, PromptTicket)
        except DecodeError as error:
            self._set_aside(record, error)
            return False
        if ticket.run_id != self._settings.run.id:
            metrics.tickets_skipped_total.labels("other_run").inc()
            return False
        if not self._book.add(ticket, record):
            metrics.tickets_skipped_total.labels("duplicate").inc()
            return False
        return True

    def _start_groups(self) -> None:
        for ticket in self._book.overdue(time.time()):
            metrics.tickets_skipped_total.labels("overdue").inc()
            log.warning("group %s is past its deadline, not generated", ticket.group_id)
            self._intake.done(self._book.drop(ticket.group_id))
        if not self._policy.ready:
            return
        for ticket in self._book.startable(self._engine.weights.version):
            prompt = self._engine.encode_chat(ticket.messages)
            try:
                self._engine.submit(build_request(ticket, prompt))
            except ValueError as error:
                self._set_aside(self._book.group(ticket.group_id).record, error)
                self._intake.done(self._book.drop(ticket.group_id))
            else:
                self._book.start(ticket.group_id, prompt)

    def _publish(self, generation: Generation) -> None:
        group = self._book.group(generation.key)
        text = self._engine.decode(generation.token_ids)
        rollout = build_rollout(group.ticket, group.prompt_token_ids, generation, text, self._engine.name)
        headers = route_headers(rollout.question)
        delivery = publish(self._producer, self._rollouts_topic, rollout, rollout.group_id, **headers)
        self._deliveries.add(Sent(generation.key, generation.index, delivery))
        metrics.rollouts_total.labels(rollout.domain, rollout.finish_reason).inc()
        metrics.generated_tokens_total.inc(len(generation.token_ids))
        metrics.end_to_end_seconds.labels(STAGE).observe(max(0.0, time.time() - group.ticket.dispatched_at))

    def _settle_deliveries(self) -> None:
        for sent in self._deliveries.acknowledged():
            self._intake.done(self._book.acknowledge(sent.group_id, sent.index))

    def _set_aside(self, record: Record, error: Exception) -> None:
        letter = dead_letter(record, error, STAGE, self._dead_letters_topic)
        log.error("%s[%d]@%d to the dead letters: %s", record.topic, record.partition, record.offset, error)
        confirm(self._producer, [send(self._producer, letter)], self._settings.broker.request_timeout_seconds)
        metrics.dead_letters_total.labels(STAGE, reason_of(letter)).inc()


@contextmanager
def open_worker(settings: Settings, bootstrap: str) -> Iterator[RolloutWorker]:
    """A worker with its model and its clients, which are closed in bounded time.

    Raises BrokerUnavailableError, LookupError where topics are missing, ModelFilesError.
    """
    prefix = settings.topics.prefix
    with ExitStack() as stack:
        producer = make_producer(settings.broker, bootstrap)
        stack.callback(producer.close, timeout=_DRAIN_SECONDS)
        versions = LogReader(settings.broker, bootstrap, [topic_name(prefix, Topic.POLICY_VERSIONS)])
        stack.enter_context(versions)
        folder = resolve_model(settings.model.path, settings.run.prepared)
        rank = settings.learner.lora.rank
        engine = make_engine(settings.rollout.engine, folder, settings.model.dtype, lora_rank=rank)
        stack.callback(engine.close)
        group = f"{settings.run.id}.{STAGE}"
        consumer = make_consumer(settings.broker, bootstrap, group, [topic_name(prefix, Topic.PROMPTS)])
        stack.callback(consumer.close, autocommit=False, timeout_ms=int(_DRAIN_SECONDS * 1000))
        log.info("engine=%s model=%s group=%s", engine.name, folder, group)
        yield RolloutWorker(settings, engine, consumer, producer, versions)


def main(settings: Settings, bootstrap: str) -> None:
    """Runs until interrupted. Raises what `open_worker` raises, and DeliveryError."""
    with open_worker(settings, bootstrap) as worker:
        try:
            while True:
                worker.turn()
        except KeyboardInterrupt:
            worker.drain()
            raise
