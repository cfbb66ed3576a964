"""Who a learner works with: nobody, or the followers of its team. The learner is written once, for either.

Why so: the log's keys put a group's records into equally numbered partitions, so partitions divide the reading, and
nothing heavy leaves the process that read it before its group is trained on. But which groups are trained on is one
decision over the whole order of dispatch (`trainer.curriculum.admission`), and closings and announcements need one
writer: process 0 hears of every verdict in its light form, decides as a single process would, and writes. A batch then
goes to everyone, small beside what a step reads and writes of weights, and the rows are divided by length: the shares
of the log are uneven, and every process must pass as often as the longest share through the sharded model.

When a process dies, its connections close, the others end with it, and all start again from the last checkpoint.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from infra.settings.learner import LearnerSettings
from infra.settings.tree import Settings
from streams.clients import LogReader, Reader
from streams.messages import ScoredTrajectory
from streams.records import Record, TopicPartition
from trainer.distributed.process_group import ProcessGroup
from trainer.groups.groups import OpenGroup
from trainer.leader.commands import Command, PolledRecords, PollPartitions, ReportLag, SendSegments, Shutdown
from trainer.leader.fsdp import shard_ppo
from trainer.leader.segment_cache import with_segments
from trainer.step.ppo import PPO
from trainer.step.row_partition import RankRows


class Coordinator(Protocol):
    def broadcast(self, command: Command) -> None:
        """The others do what the caller does next."""
        ...

    def open_reader(
        self, settings: Settings, bootstrap: str, topics: Sequence[str], start: Mapping[TopicPartition, int]
    ) -> Reader: ...

    def shard(self, ppo: PPO) -> PPO:
        """This process's part of the restored learner."""
        ...

    def verdicts(self, group: OpenGroup) -> Iterable[ScoredTrajectory]:
        """The group's, by sample, with their tokens."""
        ...


class SingleProcess:
    def broadcast(self, command: Command) -> None:
        """Nobody listens."""

    def open_reader(
        self, settings: Settings, bootstrap: str, topics: Sequence[str], start: Mapping[TopicPartition, int]
    ) -> Reader:
        return LogReader(settings.broker, bootstrap, topics, start)

    def shard(self, ppo: PPO) -> PPO:
        return ppo

    def verdicts(self, group: OpenGroup) -> Iterable[ScoredTrajectory]:
        return group.trajectories()


class Leader:
    """Process 0 of a team. An interrupt is noticed between two orders, never within one."""

    def __init__(self, processes: ProcessGroup, settings: LearnerSettings) -> None:
        self.processes = processes
        self._settings = settings
        self.interrupted = False

    def broadcast(self, command: Command) -> None:
        self.processes.broadcast(command)

    def open_reader(
        self, settings: Settings, bootstrap: str, topics: Sequence[str], start: Mapping[TopicPartition, int]
    ) -> Reader:
        own = LogReader(settings.broker, bootstrap, topics, start, (0, self.processes.size))
        return _MergedReader(self, own)

    def shard(self, ppo: PPO) -> PPO:
        return shard_ppo(ppo, self._settings, self.processes.mesh, row_partition_of(self.processes))

    def verdicts(self, group: OpenGroup) -> Iterable[ScoredTrajectory]:
        read = list(group.trajectories())
        if all(scored.rollout.segments for scored in read):  # from this process's own partitions
            return read
        self.broadcast(SendSegments(group.seq))
        segments = {index: held for answer in self.processes.gather({}) for index, held in answer.items()}
        return [with_segments(scored, segments) for scored in read]


class _MergedReader:
    """Invariant: as LogReader's; what `positions` says is of the last `poll`."""

    def __init__(self, leader: Leader, own: LogReader) -> None:
        self._leader = leader
        self._own = own
        self._positions: dict[TopicPartition, int] = {}

    def poll(self, timeout: float) -> list[Record]:
        if self._leader.interrupted:
            raise KeyboardInterrupt
        self._leader.broadcast(PollPartitions(timeout))
        records = self._own.poll(timeout)
        shares: Sequence[PolledRecords] = self._leader.processes.gather(PolledRecords(records, self._own.positions()))
        for share in shares:
            self._positions |= share.positions
        return [record for share in shares for record in share.records]

    def positions(self) -> dict[TopicPartition, int]:
        return dict(self._positions)

    def lag(self) -> dict[TopicPartition, int]:
        self._leader.broadcast(ReportLag())
        return {at: count for lag in self._leader.processes.gather(self._own.lag()) for at, count in lag.items()}

    def close(self) -> None:
        self._own.close()
        self._leader.broadcast(Shutdown())


def row_partition_of(processes: ProcessGroup) -> RankRows:
    return RankRows(processes.rank, processes.size, processes.group)
