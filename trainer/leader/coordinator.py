"""One interface for single-process and multi-process training, so that `Learner` is written once for both.

The design for several processes:
- The log's partitions divide the reading. A group's records have one key, so they lie in equally numbered partitions,
  and one process reads all of them. Their heavy part (token ids and log-probs) stays there until the group is trained
  on.
- Process 0 leads. Which groups are trained on is one decision over the whole dispatch order
  (`trainer.curriculum.admission`), and closings and announcements need one writer. Process 0 therefore receives every
  verdict in stripped form (`trainer.leader.segment_cache`), decides as a single process would, and writes.
- Every process gets the outline of a batch and the tokens of its own rows, once. Rows are balanced by token count
  (`trainer.step.row_plan`), since partitions are uneven, and under FSDP every rank must run as many passes as the
  busiest one.
- If a process dies, its connections close, the other processes end too, and all restart from the last checkpoint.
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
from trainer.leader.commands import (
    BatchShare,
    Command,
    PolledRecords,
    PollPartitions,
    ReportLag,
    SegmentsByIndex,
    SendSegments,
    Shutdown,
    Train,
)
from trainer.leader.segment_cache import with_segments
from trainer.step.batch import TrainingBatch, WeightsId, outline_of, pack_batch, pack_rows
from trainer.step.row_plan import RowPlan, plan_rows
from trainer.step.trajectory import Trajectory


class Coordinator(Protocol):
    processes: ProcessGroup | None
    """The processes over which the models are sharded; None if there is one."""

    def broadcast(self, command: Command) -> None:
        """Makes the followers do what the caller does next."""
        ...

    def open_reader(
        self, settings: Settings, bootstrap: str, topics: tuple[str, str], start: Mapping[TopicPartition, int]
    ) -> Reader:
        """A reader of all partitions, from the offsets of `start`."""
        ...

    def verdicts(self, group: OpenGroup) -> Iterable[ScoredTrajectory]:
        """The group's verdicts in the order of their samples, with their tokens."""
        ...

    def begin_step(
        self, groups: Sequence[Sequence[Trajectory]], known_weights: frozenset[WeightsId], version: int
    ) -> TrainingBatch:
        """Packs the groups into rows, and makes the followers take the same step from `version`."""
        ...


class SingleProcess:
    """The coordinator of a learner without followers."""

    processes: ProcessGroup | None = None

    def __init__(self, settings: LearnerSettings) -> None:
        self._settings = settings

    def broadcast(self, command: Command) -> None:
        """Does nothing."""

    def open_reader(
        self, settings: Settings, bootstrap: str, topics: tuple[str, str], start: Mapping[TopicPartition, int]
    ) -> Reader:
        return LogReader(settings.broker, bootstrap, topics, start)

    def verdicts(self, group: OpenGroup) -> Iterable[ScoredTrajectory]:
        return group.trajectories()

    def begin_step(
        self,
        groups: Sequence[Sequence[Trajectory]],
        known_weights: frozenset[WeightsId],
        version: int,  # noqa: ARG002 (decides the shares of several processes)
    ) -> TrainingBatch:
        return pack_batch(groups, self._settings.packed_row_tokens, known_weights)


class Leader:
    """Process 0 of several. It notices an interrupt between two commands, never within one."""

    def __init__(self, processes: ProcessGroup, settings: Settings) -> None:
        self._group = processes
        self._settings = settings
        self.processes: ProcessGroup | None = processes
        self.interrupted = False

    def broadcast(self, command: Command) -> None:
        self._group.broadcast(command)

    def open_reader(
        self, settings: Settings, bootstrap: str, topics: tuple[str, str], start: Mapping[TopicPartition, int]
    ) -> Reader:
        own = LogReader(settings.broker, bootstrap, topics, start, share=(0, self._group.size))
        return _MergedReader(self, self._group, own)

    def verdicts(self, group: OpenGroup) -> Iterable[ScoredTrajectory]:
        verdicts = list(group.trajectories())
        if all(scored.rollout.segments for scored in verdicts):  # this process read them itself
            return verdicts
        self.broadcast(SendSegments(group.seq))
        segments: SegmentsByIndex = {}
        for answer in self._group.gather({}):
            segments |= answer
        return [with_segments(scored, segments) for scored in verdicts]

    def begin_step(
        self, groups: Sequence[Sequence[Trajectory]], known_weights: frozenset[WeightsId], version: int
    ) -> TrainingBatch:
        learner, seed = self._settings.learner, self._settings.run.seed
        outline = outline_of(groups, learner.packed_row_tokens)
        plan = plan_rows(outline, learner, version=version, seed=seed, processes=self._group.size)
        trajectories = [trajectory for group in groups for trajectory in group]
        self.broadcast(Train(outline, version, seed))
        share = self._group.scatter(shares_of(plan, trajectories, known_weights))
        rows = pack_rows(outline, share.numbers, share.trajectories, known_weights)
        return TrainingBatch(outline, share.numbers, rows, trajectories)


def shares_of(
    plan: RowPlan, trajectories: Sequence[Trajectory], known_weights: frozenset[WeightsId]
) -> list[BatchShare]:
    """What each process gets of a batch, by rank."""
    shares = []
    for rank in range(plan.processes):
        numbers = plan.rows_of(rank)
        indices = [index for number in numbers for index in plan.outline.rows[number].trajectories]
        shares.append(BatchShare(numbers, {index: trajectories[index] for index in indices}, known_weights))
    return shares


class _MergedReader:
    """Reads the partitions of all processes, as `LogReader` would alone.

    Invariant: `positions` are those of the last `poll`.
    """

    def __init__(self, leader: Leader, processes: ProcessGroup, own: LogReader) -> None:
        self._leader = leader
        self._processes = processes
        self._own = own
        self._positions: dict[TopicPartition, int] = {}

    def poll(self, timeout: float) -> list[Record]:
        if self._leader.interrupted:
            raise KeyboardInterrupt
        self._leader.broadcast(PollPartitions(timeout))
        own = PolledRecords(self._own.poll(timeout), self._own.positions())
        records: list[Record] = []
        for polled in self._processes.gather(own):
            records += polled.records
            self._positions |= polled.positions
        return records

    def positions(self) -> dict[TopicPartition, int]:
        return dict(self._positions)

    def lag(self) -> dict[TopicPartition, int]:
        self._leader.broadcast(ReportLag())
        lag: dict[TopicPartition, int] = {}
        for answer in self._processes.gather(self._own.lag()):
            lag |= answer
        return lag

    def close(self) -> None:
        self._own.close()
        self._leader.broadcast(Shutdown())
