"""The selector process, the run's only dispatcher. It drives the phases, and writes the learner's closings into
`groups`.

Invariant: all its state is in Postgres and in the log, so it may be killed and restarted at any moment.
"""

import logging
from collections.abc import Callable

from infra.db.engine import connect
from infra.readiness import mark_ready
from infra.settings.tree import Settings
from streams.clients import LogReader, make_producer
from streams.topics import Topic, topic_name
from trainer.curriculum import apply_closings, evaluation, prompt_pool, runs
from trainer.curriculum.announced_versions import AnnouncedVersions
from trainer.curriculum.context import Context
from trainer.curriculum.dispatch import Dispatcher
from trainer.curriculum.fleet import Fleet
from trainer.curriculum.learner_watch import Closing, LearnerWatch
from trainer.curriculum.lineages import Lineages
from trainer.curriculum.phases import Phases
from trainer.curriculum.selection_plan import SelectionPlan
from trainer.curriculum.selector_lock import SelectorSession
from trainer.curriculum.stall import GRACE_SECONDS, StallAlarm
from trainer.curriculum.watch_position import read_position, write_position
from trainer.runlog.loggers import open_loggers

log = logging.getLogger(__name__)

_CLOSE_SECONDS = 2.0
"""The producer has nothing left to send, since every ticket is confirmed between rounds."""


def main(settings: Settings, bootstrap: str, *, stopped: Callable[[], bool] = lambda: False) -> None:
    """Returns when the run is finished, or once `stopped` says that it was asked to stop.

    Raises DatabaseUnavailableError, BrokerUnavailableError, AnotherSelectorError and what a phase raises. The
    supervisor then restarts the selector, which continues where it was.
    """
    engine = connect(settings.database.full_url(), settings.database.connect_timeout_seconds)
    with SelectorSession(engine, settings.run.id) as session:
        with session.transaction() as connection:
            position = read_position(connection, settings.run.id)
        watch = LearnerWatch.open(settings, bootstrap, position)
        producer = make_producer(settings.broker, bootstrap)
        versions = LogReader(settings.broker, bootstrap, [topic_name(settings.topics.prefix, Topic.POLICY_VERSIONS)])
        loggers = open_loggers(settings, "selector")
        context = Context(
            settings,
            session,
            watch,
            Dispatcher(settings, session, producer),
            Lineages.of(position.claims),
            loggers,
            engines=Fleet(settings, bootstrap).engines,
            announced=AnnouncedVersions(settings.run.id, versions, settings.weights.read_signing_key()),
        )
        try:
            run(context, stopped)
        finally:
            loggers.close()
            producer.close(timeout=_CLOSE_SECONDS)
            versions.close()
            watch.reader.close()
    engine.dispose()


def run(context: Context, stopped: Callable[[], bool] = lambda: False) -> None:
    """Runs the remaining phases, from the current one to the end of the run."""
    phases = resume(context)
    mark_ready()
    alarm = StallAlarm(context.run_id)
    while not phases.advance() and not stopped():
        messages = context.watch.poll(context.settings.selector.poll_seconds)
        if _apply(context, messages):
            alarm.progress()
        with context.session.transaction() as connection:
            stalled = alarm.check(connection, phases.waits_for)
        repeated = context.dispatcher.repeat_overdue(GRACE_SECONDS) if stalled else 0
        if repeated:
            log.warning("%d tickets are produced again, whose groups are open past their deadline", repeated)


def resume(context: Context) -> Phases:
    """Produces unconfirmed tickets, applies closings up to the end of the log, and returns the run in its phase.

    Raises SelectionRuleError if the settings name a rule, or an option, that does not exist.
    """
    SelectionPlan.of(context.settings, 0, 0)  # a wrong name ends the run now, and not after the prompts were measured
    with context.session.transaction() as connection:
        state = runs.open_run(connection, context.settings)
        evaluation.show(connection, context.run_id)
        left_out = prompt_pool.without_scorer(connection, context.run_id)
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
    """Applies closings; returns whether a group was closed."""
    context.dispatcher.set_aside(context.watch.pop_broken())
    if not messages:
        return False
    with context.session.transaction() as connection:
        applied = apply_closings.apply(connection, context.run_id, context.lineages, messages)
        if not context.lineages.early:
            write_position(connection, context.run_id, context.watch.offsets, context.lineages.starts.values())
    if applied.reopened:
        log.warning("a resumed learner reopened %d groups", applied.reopened)
    return bool(applied.closed)
