"""The task of picking references: N responses per prompt that nothing can score yet, scored by a Bradley-Terry model.

Invariant: references are picked as groups are measured, so an interrupted run loses at most the groups in flight, and
the next one asks for no prompt that has its reference.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from streams.messages import Purpose
from trainer.curriculum import runs
from trainer.curriculum.dispatch import sampling_seed
from trainer.curriculum.measurement import MeasurementPlan
from trainer.curriculum.prompt_ids import PromptIds
from trainer.evaluator.policy_files import PolicyFiles
from trainer.reward_models.reference_store import Picked, PickSettings, pick_measured

LABEL = "references"
"""Label of the groups from which references are picked."""


@dataclass(slots=True)
class ReferencePlan:
    """Implements trainer.evaluator.task.RunTask."""

    policy: PolicyFiles
    samples: int
    """Responses N per prompt."""
    seed: int
    prompts: Sequence[str]
    """Ids of the prompts that have no reference."""
    pick: PickSettings
    picked: Picked = field(default_factory=Picked)
    """What this process has picked so far."""

    phase = runs.REFERENCES
    purpose = Purpose.ASSESS

    @property
    def groups(self) -> int:
        return len(self.prompts)

    def measurements(self) -> list[MeasurementPlan]:
        """A prompt's sampling seed does not depend on the order of dispatch."""
        return [
            MeasurementPlan(
                label=LABEL,
                purpose=self.purpose,
                samples=self.samples,
                prompts=PromptIds.of(self.prompts),
                seeds={prompt: sampling_seed(self.seed, prompt) for prompt in self.prompts},
            )
        ]

    def begin(self, connection: Connection, run_id: str) -> None:
        """The prompts themselves say what is missing."""

    def settle(self, connection: Connection, run_id: str) -> None:
        found = pick_measured(connection, run_id, LABEL, self.pick)
        self.picked = Picked(self.picked.picked + found.picked, found.without_content)

    def finish(self, connection: Connection, run_id: str) -> None:
        """Picks for groups that an interrupted round had closed."""
        self.settle(connection, run_id)
