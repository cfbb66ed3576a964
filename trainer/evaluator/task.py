"""What a run without a learner measures, and what it does with the scores.

Invariant: `settle` and `finish` may be called again after a crash, and then have no further effect.
"""

from typing import Protocol

from sqlalchemy import Connection

from streams.messages import Purpose
from trainer.curriculum.measurement import MeasurementPlan
from trainer.evaluator.policy_files import PolicyFiles


class RunTask(Protocol):
    """An evaluation, or the responses from which references are picked."""

    @property
    def policy(self) -> PolicyFiles: ...

    @property
    def phase(self) -> str:
        """The run's only phase before `finished`."""
        ...

    @property
    def purpose(self) -> Purpose: ...

    @property
    def groups(self) -> int:
        """Number of groups in all."""
        ...

    def measurements(self) -> list[MeasurementPlan]:
        """The groups to dispatch; one measurement after the other."""
        ...

    def begin(self, connection: Connection, run_id: str) -> None:
        """Called once, before the first ticket."""
        ...

    def settle(self, connection: Connection, run_id: str) -> None:
        """Called after groups were closed."""
        ...

    def finish(self, connection: Connection, run_id: str) -> None:
        """Called once all groups are closed."""
        ...
