"""The training phase: keeps the admission slots full until the run has made its steps or used its time.

Invariants
- At most `AdmissionLimits.slots` train groups are open. The count is read from the database, so it holds across
  restarts of the selector, and after a resumed learner reopened groups.
- With S = 0 no token is older than its step: a group starts on the weights that the previous step made. Engines wait
  for those weights, and the learner for the groups; waiting engines still run measurements.
- An evaluation during training is of one version, which its tickets name, however many versions the learner makes
  meanwhile. If the announcement of that version is gone, later versions may answer, and the result says so.
- What the guard's alarms change follows from the database alone: a selector that restarts does the same.
"""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from infra.metrics import metrics
from infra.settings.admission_limits import AdmissionLimits
from streams.messages import Purpose
from trainer.curriculum import dispatch_factors, evaluation, group_counts, selection
from trainer.curriculum.context import Context
from trainer.curriculum.dispatch import DispatchRequest, pinned_weights
from trainer.curriculum.measurement import SHARED_FILLS, Measurement, MeasurementPlan
from trainer.curriculum.prompt_pool import heldout_prompts
from trainer.curriculum.schedule import Schedule
from trainer.curriculum.selector_lock import lock_rounds
from trainer.curriculum.train_clock import TrainClock
from trainer.guard.guard import Guard, GuardAlarm

log = logging.getLogger(__name__)

_NEWEST = 512
"""Groups over which a trained share is taken: it is then known to a few hundredths, and still follows the shares that
were asked for."""


@dataclass(slots=True)
class Training:
    context: Context
    _clock: TrainClock = field(init=False)
    _schedule: Schedule | None = None
    _round: int = -1
    _evaluating: Measurement | None = None
    _evaluated: set[str] = field(default_factory=set)
    guard: Guard = field(init=False)
    _alarms: Sequence[GuardAlarm] | None = None
    """The alarms that the schedule's factors follow; None before the first look."""
    _lineage: int = -1
    """The newest lineage when evaluations were last compared with the learner's history."""
    _shown: int = -1
    """The version at which the domains' shares were last shown."""

    def __post_init__(self) -> None:
        self.guard = Guard(self.context.settings)
        self._clock = TrainClock(self.context.run_id)

    def advance(self) -> bool:
        """Dispatches as many groups as there are free slots; returns whether training has ended."""
        context = self.context
        self._repeat_abandoned()
        with context.session.transaction() as connection:
            alarms = self.guard.look(connection)
            if self._has_ended(connection, alarms):
                return True
            self._reselect(connection)
            schedule = self._current_schedule(connection, alarms)
            open_ = group_counts.open_groups(connection, context.run_id, Purpose.TRAIN)
            room = min(self._groups_to_dispatch(open_), self._groups_left(connection))
        context.dispatcher.dispatch(self._request(), [schedule.next(context.watch.version) for _ in range(room)])
        self._evaluate()
        return False

    def _has_ended(self, connection: Connection, alarms: Sequence[GuardAlarm]) -> bool:
        trained = self._clock.seconds(connection)
        settings = self.context.settings.selector
        if alarms and settings.guard.action == "stop":
            log.error("training ends at version %d: %s", self.context.watch.version, alarms[0])
            return True
        if settings.max_steps and self.context.watch.version >= settings.max_steps:
            log.info("training ends at version %d", self.context.watch.version)
            return True
        if self._groups_left(connection) <= 0:
            log.info("training ends after %d groups at version %d", settings.max_groups, self.context.watch.version)
            return True
        if settings.max_train_seconds and trained >= settings.max_train_seconds:
            log.info("training ends after %.0f s at version %d", trained, self.context.watch.version)
            return True
        return False

    def _groups_left(self, connection: Connection) -> int:
        """Groups that may still be dispatched under the bound of groups."""
        bound = self.context.settings.selector.max_groups
        return bound - self._counted(connection).groups if bound else sys.maxsize

    def _counted(self, connection: Connection) -> Schedule:
        """The schedule, in which every group is counted that was ever dispatched for training."""
        if self._schedule is None:
            settings = self.context.settings
            self._schedule = Schedule(settings.run.seed, settings.selector.domain_shares, {})
            dispatch_factors.replay(connection, self.context.run_id, self._schedule)
        return self._schedule

    def _groups_to_dispatch(self, open_: int) -> int:
        """Number of groups to dispatch now. Near the end it is at most what the remaining steps need."""
        settings = self.context.settings.selector
        limits = AdmissionLimits.of(settings.admission)
        free = max(0, limits.slots - open_)
        metrics.admission_slots.labels("open").set(open_)
        metrics.admission_slots.labels("free").set(free)
        if settings.max_steps:
            needed = (settings.max_steps - self.context.watch.version) * limits.groups_per_step
            free = min(free, max(0, needed - open_))
        return free

    def _current_schedule(self, connection: Connection, alarms: Sequence[GuardAlarm]) -> Schedule:
        context = self.context
        latest = selection.latest_round(connection, context.run_id)
        round_ = latest[0] if latest else -1
        schedule = self._counted(connection)
        if round_ != self._round:
            self._round = round_
            schedule.select(selection.selected(connection, context.run_id, round_))
        if alarms != self._alarms:
            self._alarms = alarms
            factors = self.guard.dispatch_factors(connection)
            if factors != schedule.factors:
                dispatch_factors.store(connection, context.run_id, factors)
                schedule.factors = factors
        self._show_shares(connection, schedule)
        return schedule

    def _show_shares(self, connection: Connection, schedule: Schedule) -> None:
        version = self.context.watch.version
        if version == self._shown:
            return
        self._shown = version
        trained = group_counts.newest_trained(connection, self.context.run_id, _NEWEST)
        total = sum(trained.values())
        for domain, asked in schedule.fractions(version).items():
            metrics.domain_share.labels("asked", domain).set(asked)
            if total:
                metrics.domain_share.labels("trained", domain).set(trained.get(domain, 0) / total)

    def _reselect(self, connection: Connection) -> None:
        if self._round_due(connection) is None:
            return
        lock_rounds(connection, self.context.run_id)
        round_ = self._round_due(connection)  # `prompts select` may have written one in the meantime
        if round_ is not None:
            selection.select_round(connection, self.context.settings, round_, self.context.watch.version)

    def _round_due(self, connection: Connection) -> int | None:
        """Number of the round that is to be written at this version; None if none is."""
        every = self.context.settings.selector.preppo.every_versions
        latest = selection.latest_round(connection, self.context.run_id)
        if not every or latest is None or self.context.watch.version < latest[1] + every:
            return None
        return latest[0] + 1

    def _evaluate(self) -> None:
        """Evaluates held-out prompts every N versions, concurrently with training, one evaluation at a time."""
        if self._evaluating is None:
            self._evaluating = self._next_evaluation()
        if self._evaluating is None or not self._evaluating.advance(self.context):
            return
        plan = self._evaluating.plan
        with self.context.session.transaction() as connection:
            self.context.evaluate(connection, plan.label, plan.min_version)
        self._evaluated.add(plan.label)
        self._evaluating = None

    def _repeat_abandoned(self) -> None:
        """Repeats evaluations of versions that a rewound learner makes again."""
        context = self.context
        newest = max(context.lineages.starts, default=0)
        if newest == self._lineage:
            return
        self._lineage = newest
        with context.session.transaction() as connection:
            gone = evaluation.take_back(connection, context.run_id, context.lineages)
        if gone:
            log.warning("the learner took back the versions of evaluations %s: they are repeated", ", ".join(gone))
            self._evaluated -= set(gone)
            self._evaluating = None
            self.guard.forget()

    def _next_evaluation(self) -> Measurement | None:
        context, settings = self.context, self.context.settings.selector
        every, version = settings.eval_every_versions, self.context.watch.version
        if not every or version < every:
            return None
        at = version - version % every
        label = evaluation.during_training_label(at)
        if label in self._evaluated:
            return None
        with context.session.transaction() as connection:
            if evaluation.exists(connection, context.run_id, label):
                self._evaluated.add(label)
                return None
            prompts = heldout_prompts(connection, context.run_id)
            weights = pinned_weights(connection, context.run_id, label)
        if weights is None and context.announced is not None:
            weights = context.announced.find(at, context.lineages)
            if weights is None:
                log.warning(
                    "evaluation %s: the log has no announcement of version %d, later ones may answer", label, at
                )
        return Measurement(
            MeasurementPlan(
                label=label,
                purpose=Purpose.EVAL,
                samples=settings.eval_samples,
                prompts=prompts,
                min_version=at,
                fills=SHARED_FILLS,
                weights=weights,
            )
        )

    def _request(self) -> DispatchRequest:
        selector, version = self.context.settings.selector, self.context.watch.version
        return DispatchRequest(
            purpose=Purpose.TRAIN,
            label="",
            samples=selector.group_size,
            min_version=version if selector.admission.staleness == 0 else 0,
            version=version,
            lineage=self.context.watch.lineage,
        )
