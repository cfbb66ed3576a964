"""What every phase works with."""

from dataclasses import dataclass

from infra.settings.tree import Settings
from trainer.curriculum.dispatch import Dispatcher
from trainer.curriculum.history import Lineages
from trainer.curriculum.session import Session
from trainer.curriculum.watch import Watch


@dataclass(frozen=True, slots=True)
class Context:
    settings: Settings
    session: Session
    watch: Watch
    dispatcher: Dispatcher
    lineages: Lineages

    @property
    def run_id(self) -> str:
        return self.settings.run.id
