"""The learner's process: alone, or the leader or a follower of a team that torchrun started.

Invariant: a signal asks the leader alone to stop, and is noticed between two orders; the others end when told, so that
no process leaves a collective that the rest is in. The run's folder is on a disk that all of them share.
"""

import signal
from types import FrameType

from torch.distributed import destroy_process_group

from infra.settings.tree import Settings
from trainer.distributed.process_group import join_process_group, world_size
from trainer.leader.commands import LoadCheckpoint
from trainer.leader.coordinator import Leader
from trainer.leader.follower import Follower
from trainer.learner import Learner


def main(settings: Settings, bootstrap: str) -> None:
    """Runs until interrupted, or to the end of the log that `learner.replay` names.

    If torchrun started this process as one of several, it joins their team; otherwise it is the learner alone.
    """
    if world_size() > 1:
        run_member(settings, bootstrap)
    else:
        Learner(settings, bootstrap).run()


def run_member(settings: Settings, bootstrap: str) -> None:
    """Raises what the learner raises, on the leader; RuntimeError where another process is gone."""
    processes = join_process_group(settings.learner.device)
    if processes.leads:
        leader = Leader(processes, settings.learner)
        _on_signals(leader)
        Learner(settings, bootstrap, leader).run()
    else:
        _on_signals(None)
        start = processes.receive()
        assert isinstance(start, LoadCheckpoint)
        Follower(settings, bootstrap, processes, start).run()
    destroy_process_group()


def _on_signals(leader: Leader | None) -> None:
    def note(_signal: int, _frame: FrameType | None) -> None:
        if leader is not None:
            leader.interrupted = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)
