"""A process of a learner that another process leads: it executes the leader's commands, and writes nothing.

Invariant: it enters the same collectives as the leader, in the same order, because both run the same code.
"""

import logging
from concurrent.futures import Future

from infra.settings.tree import Settings
from streams.clients import LogReader
from trainer.distributed.process_group import ProcessGroup
from trainer.leader.commands import (
    BatchShare,
    Command,
    DropGroups,
    GatherWeights,
    LoadCheckpoint,
    PolledRecords,
    PollPartitions,
    ReportLag,
    SaveCheckpoint,
    SendSegments,
    Shutdown,
    Train,
)
from trainer.leader.segment_cache import SegmentCache
from trainer.step.batch import TrainingBatch, pack_rows
from trainer.weights import checkpoint
from trainer.weights.build_models import restored_ppo
from trainer.weights.publish import publisher_of
from workers.models.model_files import resolve_model

log = logging.getLogger(__name__)


class Follower:
    def __init__(self, settings: Settings, bootstrap: str, processes: ProcessGroup, start: LoadCheckpoint) -> None:
        self._processes = processes
        template = resolve_model(settings.model.path, settings.run.prepared)
        self._ppo, history = restored_ppo(settings, start.saved, template, processes), start.history
        self._ppo.before_update = self._finish_writing
        self._writing: Future[None] | None = None
        self._publisher = publisher_of(settings, template)
        self._cache = SegmentCache(start.run_id, start.topics[1], history.closed.copy())
        share = (processes.rank, processes.size)
        self._reader = LogReader(settings.broker, bootstrap, start.topics, history.offsets, share=share)
        log.info("follows as %d of %d, version=%d", processes.rank, processes.size, history.version)

    def run(self) -> None:
        """Executes commands until the leader sends Shutdown. Raises LeaderGoneError."""
        try:
            while not isinstance(command := self._processes.receive(), Shutdown):
                self._execute(command)
            self._finish_writing()
        finally:
            self._reader.close()

    def _execute(self, command: Command) -> None:
        match command:
            case PollPartitions(timeout):
                records = [self._cache.strip(record) for record in self._reader.poll(timeout)]
                self._processes.reply(PolledRecords(records, self._reader.positions()))
            case ReportLag():
                self._processes.reply(self._reader.lag())
            case SendSegments(seq):
                self._processes.reply(self._cache.segments(seq))
            case DropGroups(seqs):
                self._cache.drop(seqs)
            case Train(outline, version, seed):
                share: BatchShare = self._processes.receive_part()
                rows = pack_rows(outline, share.numbers, share.trajectories, share.known_weights)
                self._ppo.step(TrainingBatch(outline, share.numbers, rows, []), version, seed)
            case GatherWeights():
                self._publisher.help_to_gather(self._ppo.policy)
            case SaveCheckpoint(temporary):
                self._finish_writing()
                self._writing = checkpoint.start(temporary, self._ppo, self._processes.checkpoint_group).written
            case _:
                raise TypeError(f"not a command of a running learner: {command!r}")

    def _finish_writing(self) -> None:
        """Waits until this process's last checkpoint is written. Raises OSError or RuntimeError."""
        if self._writing is not None:
            self._writing.result()
            self._writing = None
