"""The learner's process: a learner on its own, or the leader or a follower of several that torchrun started.

Invariant: a signal stops the leader only, which notices it between two commands; the followers end when it tells them
to. No process therefore leaves a collective while the others are in it. The run's folder must be on a disk that all
processes share.
"""

import signal
from types import FrameType

from torch.distributed import destroy_process_group

from infra.readiness import works
from infra.settings.tree import Settings
from trainer.distributed.process_group import join_process_group, world_size
from trainer.leader.commands import LoadCheckpoint
from trainer.leader.coordinator import Leader
from trainer.leader.follower import Follower
from trainer.learner import Learner


def main(settings: Settings, bootstrap: str) -> None:
    """Runs until interrupted, or to the end of the log that `learner.replay` names.

    If torchrun started this process as one of several, it joins the others; otherwise it is a learner on its own.
    """
    if world_size() > 1:
        run_distributed(settings, bootstrap)
    else:
        Learner(settings, bootstrap).run()


def run_distributed(settings: Settings, bootstrap: str) -> None:
    """Runs the leader or a follower. Raises what `Learner.run` raises, and RuntimeError if another process is gone."""
    processes = join_process_group(settings.learner.device)
    if processes.is_leader:
        leader = Leader(processes, settings)
        _handle_signals(leader)
        Learner(settings, bootstrap, leader).run()
    else:
        _handle_signals(None)
        start = processes.receive()
        assert isinstance(start, LoadCheckpoint)
        follower = Follower(settings, bootstrap, processes, start)
        works.set()  # the leader tells the supervisor
        follower.run()
    destroy_process_group()


def _handle_signals(leader: Leader | None) -> None:
    """SIGTERM and SIGINT interrupt the leader, and do nothing to a follower (`leader` None)."""

    def note(_signal: int, _frame: FrameType | None) -> None:
        if leader is not None:
            leader.interrupted = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)
