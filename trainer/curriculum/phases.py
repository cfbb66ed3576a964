"""The run's phases, one after another: eval_before, preppo, train, drain, eval_after, finished.

Invariant: what a phase has done is in Postgres, so a selector that restarts continues the phase: dispatched groups are
not dispatched again, and results are written once.

The last evaluation measures the surviving model. If a learner resumes from a version below the evaluated one, it takes
steps back; the run then returns to drain, and its last evaluation is dispatched again. The groups of the abandoned
evaluation keep their outcomes under the label `after@LINEAGE`.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from infra.db.models import Group
from infra.settings.tree import SelectorSettings
from streams.messages import Purpose
from trainer.curriculum import evaluation, group_counts, runs, selection
from trainer.curriculum.context import Context
from trainer.curriculum.measurement import Measurement, MeasurementPlan
from trainer.curriculum.prompt_pool import heldout_prompts, prompts_to_assess
from trainer.curriculum.runs import Phase
from trainer.curriculum.training import Training

log = logging.getLogger(__name__)

BEFORE, AFTER = "before", "after"


@dataclass(slots=True)
class Phases:
    """Call `advance` repeatedly, until it returns True: the run is then finished."""

    context: Context
    phase: Phase
    waits_for: str | None = None
    """The label whose verdicts the phase waits for, if any."""
    _measurement: Measurement | None = None
    _training: Training = field(init=False)

    def __post_init__(self) -> None:
        self._training = Training(self.context)
        runs.show_phase(self.phase)

    def advance(self) -> bool:
        """Runs one round. Raises DeliveryError, OperationalError or NoPromptsError, none of which loses anything."""
        match self.phase:
            case Phase.EVAL_BEFORE:
                self._eval_before()
            case Phase.PREPPO:
                self._preppo()
            case Phase.TRAIN:
                if self._training.advance():
                    self._enter(Phase.DRAIN)
            case Phase.DRAIN:
                self._drain()
            case Phase.EVAL_AFTER:
                self._eval_after()
            case Phase.FINISHED:
                return True
        return False

    def _eval_before(self) -> None:
        if not self._settings.eval_at_start or self._measure(lambda: self._plan_heldout(BEFORE, 0)):
            self._enter(Phase.PREPPO)

    def _preppo(self) -> None:
        if self._settings.preppo.enabled and not self._measure(self._plan_new_prompts):
            return
        context = self.context
        with context.session.transaction() as connection:
            if selection.latest_round(connection, context.run_id) is None:
                selection.select_round(connection, context.settings, 0, context.watch.version)
        self._enter(Phase.TRAIN)

    def _drain(self) -> None:
        """Dispatches nothing, waits until all groups are closed, and finishes evaluations begun during training."""
        context = self.context
        with context.session.transaction() as connection:
            if group_counts.open_groups(connection, context.run_id):
                return
            for label in evaluation.pending_labels(connection, context.run_id):
                self.waits_for = label
                if group_counts.unscored_groups(connection, context.run_id, label):
                    return
                context.evaluate(connection, label, _dispatched_version(connection, context.run_id, label))
            self._training.guard.look(connection)
        self._enter(Phase.EVAL_AFTER)

    def _eval_after(self) -> None:
        context = self.context
        if not self._settings.eval_at_end:
            self._enter(Phase.FINISHED)
        elif self._set_aside_abandoned():
            log.warning("the learner took back the evaluated version: the last evaluation is repeated")
            self._measurement = None
            self._enter(Phase.DRAIN)
        elif self._measure(lambda: self._plan_heldout(AFTER, context.watch.version)):
            self._enter(Phase.FINISHED)

    def _measure(self, plan: Callable[[], MeasurementPlan]) -> bool:
        """Advances the phase's measurement; returns True once its results are written."""
        context = self.context
        if self._measurement is None:
            self._measurement = Measurement(plan())
            self.waits_for = self._measurement.plan.label
        if not self._measurement.advance(context):
            return False
        done = self._measurement.plan
        self._measurement = None
        if done.purpose is Purpose.EVAL and done.prompts:
            with context.session.transaction() as connection:
                context.evaluate(connection, done.label, done.min_version)
        return True

    def _plan_heldout(self, label: str, version: int) -> MeasurementPlan:
        with self.context.session.transaction() as connection:
            prompts = heldout_prompts(connection, self.context.run_id)
        if not prompts:
            log.warning("no held-out prompts: evaluation %r is skipped", label)
        samples = self._settings.eval_samples
        return MeasurementPlan(label=label, purpose=Purpose.EVAL, samples=samples, prompts=prompts, min_version=version)

    def _plan_new_prompts(self) -> MeasurementPlan:
        with self.context.session.transaction() as connection:
            originals = self._settings.preppo.originals == "rank"
            prompts = prompts_to_assess(connection, self.context.run_id, originals=originals)
        samples = self._settings.preppo.samples
        return MeasurementPlan(label=selection.LABEL, purpose=Purpose.ASSESS, samples=samples, prompts=prompts)

    def _set_aside_abandoned(self) -> bool:
        """Sets the last evaluation aside if a later lineage took its version back; returns whether it did."""
        context = self.context
        with context.session.transaction() as connection:
            return evaluation.set_aside(connection, context.run_id, AFTER, context.lineages)

    def _enter(self, phase: Phase) -> None:
        with self.context.session.transaction() as connection:
            runs.enter(connection, self.context.run_id, phase)
        log.info("phase %s -> %s at version %d", self.phase, phase, self.context.watch.version)
        self.phase = phase
        self.waits_for = None
        runs.show_phase(phase)

    @property
    def _settings(self) -> SelectorSettings:
        return self.context.settings.selector


def _dispatched_version(connection: Connection, run_id: str, label: str) -> int:
    query = select(func.min(Group.dispatched_version)).where(Group.run_id == run_id, Group.label == label)
    return connection.scalar(query) or 0
