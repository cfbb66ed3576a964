"""A learner that dies at one place; spawned processes import it by this name, which a test module has not."""

import os
import signal

from infra.settings.tree import Settings
from streams.messages import PolicyVersion
from trainer.learner import Learner
from trainer.weights.publish import PublishedWeights, Publisher


def run_until_killed(settings: Settings, bootstrap: str) -> None:
    """In a process of its own: dies when version 3 is written and not announced, version 2 being saved."""
    write = Publisher.write

    def killed(self: Publisher, weights: PublishedWeights, lineage: int, version: int) -> PolicyVersion:
        announcement = write(self, weights, lineage, version)
        if version == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return announcement

    Publisher.write = killed
    Learner(settings, bootstrap).run()
