"""Measures a set of prompts without training on them: dispatches them under one label until every verdict is stored.

Invariant: each prompt is dispatched once under the label, however often the selector restarts.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streams.messages import PolicyVersion, Purpose
from trainer.curriculum import group_counts
from trainer.curriculum.context import Context
from trainer.curriculum.dispatch import DispatchRequest
from trainer.curriculum.prompt_ids import PromptIds

_ENGINE_FILLS = 4
"""Rollouts in flight as a multiple of the engines' capacity: enough that none waits for tickets, and few enough to
finish long before the deadline."""
SHARED_FILLS = 1.0
"""The same multiple for a measurement during training. An engine runs one filling of it at a time, and training's
groups in between (`workers.rollout.shifts`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementPlan:
    label: str
    purpose: Purpose
    samples: int
    prompts: PromptIds
    min_version: int = 0
    fills: float = _ENGINE_FILLS
    weights: PolicyVersion | None = None
    """The version that makes every response; None takes the newest from `min_version` on."""
    seeds: Mapping[str, int] = field(default_factory=dict)
    """Sampling seed by prompt id, for prompts whose responses must not depend on the order of dispatch."""


@dataclass(slots=True)
class Measurement:
    plan: MeasurementPlan
    _left: PromptIds | None = field(default=None)
    """Prompts that have no group yet; read from the database at the first round."""
    _unscored: Sequence[str] | None = None
    """The groups that lacked verdicts when all groups had just been closed; None as long as one is open."""

    def advance(self, context: Context) -> bool:
        """Dispatches as many groups as may be in flight; returns whether all are dispatched, closed and scored."""
        plan, run_id = self.plan, context.run_id
        with context.session.transaction() as connection:
            if self._left is None:
                self._left = plan.prompts.without(group_counts.dispatched_prompts(connection, run_id, plan.label))
            open_ = group_counts.open_groups(connection, run_id, label=plan.label)
            if not self._left and not open_:
                self._unscored = group_counts.unscored_groups(connection, run_id, plan.label, self._unscored)
                return not self._unscored
            self._unscored = None
        room = max(0, self._max_in_flight(context) - open_)
        batch, self._left = self._left[:room], self._left[room:]
        context.dispatcher.dispatch(self._request(context), batch)
        return False

    def _max_in_flight(self, context: Context) -> int:
        """Maximum number of groups in flight, by the engines that are there."""
        capacity = context.engines() * context.settings.rollout.engine.max_running
        return math.ceil(self.plan.fills * capacity / self.plan.samples)

    def _request(self, context: Context) -> DispatchRequest:
        return DispatchRequest(
            purpose=self.plan.purpose,
            label=self.plan.label,
            samples=self.plan.samples,
            min_version=self.plan.min_version,
            version=context.watch.version,
            lineage=context.watch.lineage,
            seeds=self.plan.seeds,
            weights=self.plan.weights,
        )
