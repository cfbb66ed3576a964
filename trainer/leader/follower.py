"""A process of a learner that another process leads: it executes the leader's commands, and writes nothing.

Invariant: it enters the same collectives as the leader, in the same order, because both run the same code.
"""

import logging

from infra.settings.tree import Settings
from streams.clients import LogReader
from trainer.distributed.process_group import ProcessGroup
from trainer.leader.commands import (
    Command,
    DropGroups,
    GatherCheckpoint,
    GatherWeights,
    LoadCheckpoint,
    PolledRecords,
    PollPartitions,
    ReportLag,
    SendSegments,
    Shutdown,
    Train,
)
from trainer.leader.coordinator import row_partition_of
from trainer.leader.fsdp import shard_ppo
from trainer.leader.segment_cache import SegmentCache
from trainer.step.batch import pack_batch
from trainer.weights import checkpoint
from trainer.weights.build_models import restored_ppo
from trainer.weights.publish import publisher_of
from workers.models.model_files import resolve_model

log = logging.getLogger(__name__)


class Follower:
    def __init__(self, settings: Settings, bootstrap: str, processes: ProcessGroup, start: LoadCheckpoint) -> None:
        self._processes = processes
        self._packed_row_tokens = settings.learner.packed_row_tokens
        template = resolve_model(settings.model.path, settings.run.prepared)
        ppo, history = restored_ppo(settings, start.saved, template), start.history
        self._ppo = shard_ppo(ppo, settings.learner, processes.mesh, row_partition_of(processes))
        self._publisher = publisher_of(settings, template)
        self._cache = SegmentCache(start.run_id, start.topics[1], history.closed.copy())
        share = (processes.rank, processes.size)
        self._reader = LogReader(settings.broker, bootstrap, start.topics, history.offsets, share)
        log.info("follows as %d of %d, version=%d", processes.rank, processes.size, history.version)

    def run(self) -> None:
        """Executes commands until the leader sends Shutdown. Raises LeaderGoneError."""
        try:
            while not isinstance(command := self._processes.receive(), Shutdown):
                self._execute(command)
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
            case Train(groups, known_weights, version, seed):
                self._ppo.step(pack_batch(groups, self._packed_row_tokens, known_weights), version, seed)
            case GatherWeights():
                self._publisher.gather_weights(self._ppo.policy)
            case GatherCheckpoint():
                checkpoint.collect(self._ppo)
            case _:
                raise TypeError(f"not a command of a running learner: {command!r}")
