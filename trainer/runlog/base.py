"""What a logger is: a place outside of Prometheus where people look at scalars."""

from collections.abc import Mapping
from typing import Protocol


class ScalarLogger(Protocol):
    """Its methods run in one thread, and may raise anything: `trainer.runlog.loggers` keeps it from the run."""

    def log(self, scalars: Mapping[str, float], version: int) -> None:
        """`scalars` by their logged names (infra/scalars); `version` is the policy's that they belong to. A version
        comes again where a learner resumed.
        """

    def close(self) -> None:
        """What was logged is kept when this returns."""
