"""The contract of a kind of fault.

Invariant: after `heal` the fault is over, whatever became of the run in the meantime; a kind that does not last heals
by doing nothing.
"""

from abc import ABC, abstractmethod
from random import Random
from typing import ClassVar

from faults.matrix.run import MatrixRun

SHORT = (3, 5, 8, 12, 20)
"""Seconds that a fault lasts: below and above a consumer's session of six seconds."""
LONG = (*SHORT, *SHORT, 40, 130)
"""The same with minutes, longer than a group's deadline."""


class FaultKind(ABC):
    """One injection. `random` decides what is left open."""

    name: ClassVar[str]
    what: ClassVar[str]
    """What is done, in words, for the table."""
    target: ClassVar[str]
    """Faults with the same target never overlap."""
    needs: ClassVar[str] = ""
    """The target that must be well for this fault to be made: one that writes to the log needs the broker."""
    lasts: ClassVar[tuple[int, ...]] = (0,)
    """Seconds between `inject` and `heal`, of which one is drawn."""
    domain: ClassVar[str | None] = None
    """The run has recovered with the first closing of a group of this domain; None: of any."""
    rests: ClassVar[float] = 0.0
    """Seconds until the next fault on the same target. A service that dies six times within a minute of life each is
    given up, as it should be."""
    apart: ClassVar[str] = ""
    """Faults of this name have runs of their own, because they change what the audit can prove."""
    ends_run: ClassVar[bool] = False
    """The product ends the run, with the reason, and the same command goes on with it."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.seconds = random.choice(self.lasts)
        self.detail = ""
        """What was drawn, for the line of results."""

    @abstractmethod
    def inject(self, run: MatrixRun) -> None: ...

    def heal(self, run: MatrixRun) -> None:  # noqa: B027 (most faults do not last)
        """Nothing lasts."""
