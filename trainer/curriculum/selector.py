"""The selector process: the run's only dispatcher. It drives the phases, and writes into `groups` what the learner
closed.

Invariant: all its state is in Postgres and in the log. It may be killed at any moment and started again.
"""

import logging

from infra.db.engine import connect
from infra.settings.tree import Settings
from streams.clients import make_producer
from trainer.curriculum import apply_closings, evaluation, pool, runs
from trainer.curriculum.context import Context
from trainer.curriculum.dispatch import Dispatcher
from trainer.curriculum.learner_watch import Closing, LearnerWatch
from trainer.curriculum.lineages import Lineages
from trainer.curriculum.phases import Phases
from trainer.curriculum.selector_lock import SelectorSession
from trainer.curriculum.stall import StallAlarm
from trainer.runlog.loggers import open_loggers

log = logging.getLogger(__name__)

_CLOSE_SECONDS = 2.0
"""Nothing is unconfirmed between rounds, so the producer has nothing left to send."""


def main(settings: Settings, bootstrap: str) -> None:
    """Returns when the run is finished. Raises DatabaseUnavailableError, BrokerUnavailableError, AnotherSelectorError
    and whatever a phase raises: its supervisor starts it again, and it goes on where it was.
    """
    engine = connect(settings.database.url, settings.database.connect_timeout_seconds)
    with SelectorSession(engine, settings.run.id) as session:
        watch = LearnerWatch.open(settings, bootstrap)
        producer = make_producer(settings.broker, bootstrap)
        loggers = open_loggers(settings, "selector")
        try:
            dispatcher = Dispatcher(settings, session, producer)
            run(Context(settings, session, watch, dispatcher, Lineages(), loggers))
        finally:
            loggers.close()
            producer.close(timeout=_CLOSE_SECONDS)
            watch.reader.close()
    engine.dispose()


def run(context: Context) -> None:
    """From wherever the run stands to its end."""
    phases = resume(context)
    alarm = StallAlarm(context.run_id)
    while not phases.advance():
        messages = context.watch.poll(context.settings.selector.poll_seconds)
        if _apply(context, messages):
            alarm.progress()
        with context.session.transaction() as connection:
            alarm.check(connection, phases.waits_for)


def resume(context: Context) -> Phases:
    """Unconfirmed tickets are produced, closings applied up to the log's end; then the phase goes on."""
    with context.session.transaction() as connection:
        state = runs.open_run(connection, context.settings)
        evaluation.show(connection, context.run_id)
        left_out = pool.without_scorer(connection, context.run_id)
    if left_out:
        log.warning(
            "%d prompts are left out: they have no verifier, ground truth or reference; pick references with "
            "`rewardstream prompts references`",
            left_out,
        )
    recovered = context.dispatcher.recover()
    _apply(context, context.watch.catch_up())
    log.info("run=%s phase=%s version=%d recovered=%d", context.run_id, state.phase, context.watch.version, recovered)
    return Phases(context, state.phase)


def _apply(context: Context, messages: list[Closing]) -> bool:
    """Returns whether there was progress."""
    if not messages:
        return False
    with context.session.transaction() as connection:
        applied = apply_closings.apply(connection, context.run_id, context.lineages, messages)
    if applied.reopened:
        log.warning("a resumed learner reopened %d groups", applied.reopened)
    return bool(applied.closed)
