"""Measures one model without training it: announces it, dispatches the prompts of a task, and closes their groups.

Invariants:
- It takes the selector's and the learner's place: it is the run's only writer of `prompts`, `policy.versions` and
  `groups.closed`, and it holds the selector's lock. So the run can be audited as any other.
- All its state is in Postgres and in the log. An evaluator that is opened again starts a new lineage at the number of
  groups that Postgres says are closed; closings that did not get into Postgres are thereby taken back.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from kafka import KafkaProducer
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import OperationalError

from infra.db.engine import DatabaseUnavailableError
from infra.db.models import Group
from infra.settings.tree import Settings
from streams.clients import BrokerUnavailableError, DeliveryError, LogReader, make_producer
from streams.dead_letters import parse
from streams.messages import GroupClosed, LineageStarted, Outcome, PolicyVersion
from streams.topics import Topic, topic_name
from trainer.curriculum import apply_closings, runs
from trainer.curriculum.context import Context
from trainer.curriculum.dispatch import Dispatcher
from trainer.curriculum.fleet import Fleet
from trainer.curriculum.learner_watch import LearnerWatch
from trainer.curriculum.lineages import Lineages
from trainer.curriculum.measurement import Measurement
from trainer.curriculum.runs import Phase
from trainer.curriculum.selector_lock import AnotherSelectorError, SelectorSession
from trainer.evaluator.closings import EndedGroup, ended_groups
from trainer.evaluator.task import RunTask
from trainer.log_writer import LogWriter

log = logging.getLogger(__name__)

_CLOSE_SECONDS = 2.0
"""The producer has nothing left to send, since every ticket is confirmed between rounds."""
_RETRY_SECONDS = 1.0
_OUTAGE_SECONDS = 600.0
"""Longest outage of broker or database that is waited out: a cluster's rolling restart takes minutes."""
OUTAGES = (OperationalError, DatabaseUnavailableError, BrokerUnavailableError, DeliveryError, AnotherSelectorError)
"""Errors after which the evaluator is opened again. The database may still hold the lock of a connection that broke."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Groups of a run without a learner."""

    groups: int
    measured: int = 0
    failed: int = 0
    """Failed or expired: their prompts have no result, and the next such run asks them again."""


@dataclass(slots=True)
class Evaluator:
    """Call `advance` repeatedly, until it returns True: all groups are then closed, and the results written."""

    task: RunTask
    context: Context
    writer: LogWriter
    dead_letters: LogReader
    _ordinal: int = 0
    _set_aside: dict[str, str] = field(default_factory=dict)
    _measurements: list[Measurement] = field(default_factory=list)

    def start(self) -> None:
        """Announces the model, and produces tickets that were not confirmed. Raises what `advance` raises."""
        context, policy = self.context, self.task.policy
        with context.session.transaction() as connection:
            runs.insert_run(connection, context.settings, self.task.phase)
            closed = select(func.count()).where(Group.run_id == context.run_id, Group.outcome.is_not(None))
            self._ordinal = connection.scalar(closed) or 0
        for message in context.watch.catch_up():
            if isinstance(message, LineageStarted):
                context.lineages.add(message)
        now, lineage = time.time(), context.watch.lineage + 1
        started = LineageStarted(
            run_id=context.run_id,
            lineage=lineage,
            version=policy.version,
            ordinal=self._ordinal,
            started_at=now,
            follows=context.lineages.newest,
        )
        announced = PolicyVersion(
            run_id=context.run_id,
            lineage=lineage,
            version=policy.version,
            uri=str(policy.weights),
            sha256=policy.files[policy.main_file],
            step=policy.version,
            announced_at=now,
            kind=policy.kind,
            files=policy.files,
        )
        self.writer.send(Topic.GROUPS_CLOSED, [started])
        self.writer.send(Topic.POLICY_VERSIONS, [announced])
        context.lineages.add(started)
        context.watch.catch_up()
        context.dispatcher.recover()
        self._measurements = [Measurement(plan) for plan in self.task.measurements()]

    def advance(self) -> bool:
        """Runs one round. Raises OUTAGES, none of which loses anything."""
        self._close_ended()
        if self._measurements and self._measurements[0].advance(self.context):
            del self._measurements[0]
        if self._measurements:
            return False
        self._finish()
        return True

    def progress(self) -> Progress:
        query = select(Group.outcome, func.count()).where(Group.run_id == self.context.run_id).group_by(Group.outcome)
        with self.context.session.transaction() as connection:
            counts = {outcome: count for outcome, count in connection.execute(query)}  # noqa: C416 (a Row is no pair)
        measured = counts.get(Outcome.FILTERED, 0)
        failed = counts.get(Outcome.FAILED, 0) + counts.get(Outcome.EXPIRED, 0)
        return Progress(self.task.groups, measured, failed)

    def _close_ended(self) -> None:
        context = self.context
        for record in self.dead_letters.poll(timeout=0):
            letter = parse(record)
            self._set_aside[(record.key or b"").decode("utf-8", "replace")] = f"{letter.stage}: {letter.reason}"
        with context.session.transaction() as connection:
            ended = ended_groups(connection, context.run_id, self._set_aside)
        if not ended:
            return
        messages = [self._closing_of(group, self._ordinal + number) for number, group in enumerate(ended)]
        self.writer.send(Topic.GROUPS_CLOSED, messages)
        with context.session.transaction() as connection:
            apply_closings.apply(connection, context.run_id, context.lineages, messages)
            self.task.settle(connection, context.run_id)
        self._ordinal += len(messages)
        for group in ended:
            if group.outcome is not Outcome.FILTERED:
                log.warning("group %s ends as %s: %s", group.group_id, group.outcome, group.reason)

    def _closing_of(self, group: EndedGroup, ordinal: int) -> GroupClosed:
        return GroupClosed(
            run_id=self.context.run_id,
            group_id=group.group_id,
            seq=group.seq,
            purpose=self.task.purpose,
            outcome=group.outcome,
            reason=group.reason,
            lineage=self.context.watch.lineage,
            ordinal=ordinal,
            version=self.task.policy.version,
            staleness=None,
            mean_score=group.mean_score,
            closed_at=time.time(),
        )

    def _finish(self) -> None:
        run_id = self.context.run_id
        with self.context.session.transaction() as connection:
            self.task.finish(connection, run_id)
            runs.enter(connection, run_id, Phase.FINISHED)


@contextmanager
def open_evaluator(settings: Settings, bootstrap: str, engine: Engine, task: RunTask) -> Iterator[Evaluator]:
    """Raises OUTAGES."""
    with ExitStack() as stack:
        session = stack.enter_context(SelectorSession(engine, settings.run.id))
        watch = LearnerWatch.open(settings, bootstrap)
        stack.callback(watch.reader.close)
        letters = stack.enter_context(
            LogReader(settings.broker, bootstrap, [topic_name(settings.topics.prefix, Topic.DEAD_LETTERS)])
        )
        producer: KafkaProducer = make_producer(settings.broker, bootstrap)
        stack.callback(producer.close, timeout=_CLOSE_SECONDS)
        writer = LogWriter(settings, bootstrap)
        stack.callback(writer.close)
        dispatcher, fleet = Dispatcher(settings, session, producer), Fleet(settings, bootstrap)
        context = Context(settings, session, watch, dispatcher, Lineages(), engines=fleet.engines)
        yield Evaluator(task, context, writer, letters)


def measure(
    settings: Settings,
    bootstrap: str,
    engine: Engine,
    task: RunTask,
    *,
    pause: Callable[[Progress], None],
) -> Progress:
    """Measures the task's prompts to the end, through outages; returns what became of its groups.

    `pause` is called after every round; it waits for a moment, and raises if the services cannot go on. Raises what it
    raises, and the error of an outage that lasts longer than ten minutes.
    """
    with engine.begin() as connection:
        task.begin(connection, settings.run.id)
    progress, outage_since = Progress(task.groups), 0.0
    while True:
        try:
            with open_evaluator(settings, bootstrap, engine, task) as evaluator:
                evaluator.start()
                while not evaluator.advance():
                    outage_since = 0.0
                    progress = evaluator.progress()
                    pause(progress)
                return evaluator.progress()
        except OUTAGES as error:
            outage_since = outage_since or time.monotonic()
            if time.monotonic() - outage_since > _OUTAGE_SECONDS:
                raise
            log.warning("%s; the run continues in %g s", error, _RETRY_SECONDS)
            time.sleep(_RETRY_SECONDS)
            pause(progress)
