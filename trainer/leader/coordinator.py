"""One interface for single-process and multi-process training, so that `Learner` is written once for both.

The design for several processes:
- The log's partitions divide the reading. A group's records have one key, so they lie in equally numbered partitions,
  and one process reads all of them. Their heavy part (token ids and log-probs) stays there until the group is trained
  on.
- Process 0 leads. Which groups are trained on is one decision over the whole dispatch order
  (`trainer.curriculum.admission`), and closings and announcements need one writer. Process 0 therefore receives every
  verdict in stripped form (`trainer.leader.segment_cache`), decides as a single process would, and writes.
- Each batch goes to every process; it is small compared with the weights that a step reads and writes. Its rows are
  balanced by token count (`trainer.step.row_partition`): partitions are uneven, and under FSDP every rank must run as
  many passes as the busiest one.
- If a process dies, its connections close, the other processes end too, and all restart from the last checkpoint.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from infra.settings.learner import LearnerSettings
from infra.settings.tree import Settings
from streams.clients import LogReader, Reader
from streams.messages import ScoredTrajectory
from streams.records import Record, TopicPartition
from trainer.distributed.process_group import ProcessGroup
from trainer.groups.groups import OpenGroup
from trainer.leader.commands import (
    Command,
    PolledRecords,
    PollPartitions,
    ReportLag,
    SegmentsByIndex,
    SendSegments,
    Shutdown,
)
from trainer.leader.fsdp import shard_ppo
from trainer.leader.segment_cache import with_segments
from trainer.step.ppo import PPO
from trainer.step.row_partition import RankRows


class Coordinator(Protocol):
    def broadcast(self, command: Command) -> None:
        """Makes the followers do what the caller does next."""
        ...

    def open_reader(
        self, settings: Settings, bootstrap: str, topics: tuple[str, str], start: Mapping[TopicPartition, int]
    ) -> Reader:
        """A reader of all partitions, from the offsets of `start`."""
        ...

    def shard(self, ppo: PPO) -> PPO:
        """This process's part of the restored learner."""
        ...

    def verdicts(self, group: OpenGroup) -> Iterable[ScoredTrajectory]:
        """The group's verdicts in the order of their samples, with their tokens."""
        ...


class SingleProcess:
    """The coordinator of a learner without followers."""

    def broadcast(self, command: Command) -> None:
        """Does nothing."""

    def open_reader(
        self, settings: Settings, bootstrap: str, topics: tuple[str, str], start: Mapping[TopicPartition, int]
    ) -> Reader:
        return LogReader(settings.broker, bootstrap, topics, start)

    def shard(self, ppo: PPO) -> PPO:
        return ppo

    def verdicts(self, group: OpenGroup) -> Iterable[ScoredTrajectory]:
        return group.trajectories()


class Leader:
    """Process 0 of several. It notices an interrupt between two commands, never within one."""

    def __init__(self, processes: ProcessGroup, settings: LearnerSettings) -> None:
        self.processes = processes
        self._settings = settings
        self.interrupted = False

    def broadcast(self, command: Command) -> None:
        self.processes.broadcast(command)

    def open_reader(
        self, settings: Settings, bootstrap: str, topics: tuple[str, str], start: Mapping[TopicPartition, int]
    ) -> Reader:
        own = LogReader(settings.broker, bootstrap, topics, start, (0, self.processes.size))
        return _MergedReader(self, own)

    def shard(self, ppo: PPO) -> PPO:
        return shard_ppo(ppo, self._settings, self.processes.mesh, row_partition_of(self.processes))

    def verdicts(self, group: OpenGroup) -> Iterable[ScoredTrajectory]:
        verdicts = list(group.trajectories())
        if all(scored.rollout.segments for scored in verdicts):  # this process read them itself
            return verdicts
        self.broadcast(SendSegments(group.seq))
        segments: SegmentsByIndex = {}
        for answer in self.processes.gather({}):
            segments |= answer
        return [with_segments(scored, segments) for scored in verdicts]


class _MergedReader:
    """Reads the partitions of all processes, as `LogReader` would alone.

    Invariant: `positions` are those of the last `poll`.
    """

    def __init__(self, leader: Leader, own: LogReader) -> None:
        self._leader = leader
        self._own = own
        self._positions: dict[TopicPartition, int] = {}

    def poll(self, timeout: float) -> list[Record]:
        if self._leader.interrupted:
            raise KeyboardInterrupt
        self._leader.broadcast(PollPartitions(timeout))
        own = PolledRecords(self._own.poll(timeout), self._own.positions())
        records: list[Record] = []
        for polled in self._leader.processes.gather(own):
            records += polled.records
            self._positions |= polled.positions
        return records

    def positions(self) -> dict[TopicPartition, int]:
        return dict(self._positions)

    def lag(self) -> dict[TopicPartition, int]:
        self._leader.broadcast(ReportLag())
        lag: dict[TopicPartition, int] = {}
        for answer in self._leader.processes.gather(self._own.lag()):
            lag |= answer
        return lag

    def close(self) -> None:
        self._own.close()
        self._leader.broadcast(Shutdown())


def row_partition_of(processes: ProcessGroup) -> RankRows:
    return RankRows(processes.rank, processes.size, processes.cpu_group)
