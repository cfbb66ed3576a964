"""Several processes of which one is killed while all of them write a checkpoint."""

import os
import signal
from pathlib import Path

from support.sharded_steps import CASES, SEED, batch, built, save
from trainer.distributed.process_group import ProcessGroup
from trainer.distributed.tensor_files import PartWriter
from trainer.seqset import SeqSet
from trainer.weights.history import LearnerHistory

LEARNER = CASES["value"]


def member(processes: ProcessGroup, template: Path, folder: Path) -> None:
    """Saves version 1 in `folder`. The last process dies in the middle of version 2."""
    ppo = built(template, LEARNER, processes)
    for version in (1, 2):
        ppo.step(batch(version - 1, LEARNER, processes.rank, processes.size), version - 1, seed=SEED)
        if version == 2 and processes.rank == processes.size - 1:
            PartWriter.write_data = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        save(ppo, folder, LearnerHistory(0, version, 0, {}, SeqSet()), template, processes)
