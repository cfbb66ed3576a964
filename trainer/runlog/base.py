"""The interface of a logger: a place other than Prometheus where people look at scalars."""

from collections.abc import Mapping
from typing import Protocol


class ScalarLogger(Protocol):
    """Its methods run in one thread, and may raise anything: `trainer.runlog.loggers` shields the run from it."""

    def log(self, scalars: Mapping[str, float], version: int) -> None:
        """Logs scalars under their logged names (infra/scalars), for policy version `version`.

        After a learner resumed, versions may come a second time.
        """

    def close(self) -> None:
        """Returns when everything that was logged is stored."""
