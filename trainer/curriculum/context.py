"""The objects that every phase uses."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection

from infra.settings.tree import Settings
from trainer.curriculum import evaluation
from trainer.curriculum.announced_versions import AnnouncedVersions
from trainer.curriculum.dispatch import Dispatcher
from trainer.curriculum.learner_watch import LearnerWatch
from trainer.curriculum.lineages import Lineages
from trainer.curriculum.selector_lock import SelectorSession
from trainer.runlog.loggers import Loggers
from trainer.runlog.names import scalars_of_evaluation


def _one_engine() -> int:
    return 1


@dataclass(frozen=True, slots=True)
class Context:
    settings: Settings
    session: SelectorSession
    watch: LearnerWatch
    dispatcher: Dispatcher
    lineages: Lineages
    loggers: Loggers = field(default_factory=lambda: Loggers({}))
    engines: Callable[[], int] = _one_engine
    """Number of engines that are there."""
    announced: AnnouncedVersions | None = None
    """None where no weights have to be found."""

    @property
    def run_id(self) -> str:
        return self.settings.run.id

    def evaluate(self, connection: Connection, label: str, version: int) -> None:
        """Writes the results of the measured label to the database and the loggers."""
        means = evaluation.evaluate(connection, self.run_id, label, version)
        if means:
            self.loggers.log(scalars_of_evaluation(means), version)
