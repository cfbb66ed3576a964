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
from trainer.distributed.process_group import Team
from trainer.groups.groups import OpenGroup
from trainer.leader.commands import Fetch, Lag, Order, Poll, Share, Stop
from trainer.leader.fsdp import shard
from trainer.leader.segment_cache import with_segments
from trainer.step.ppo import PPO
from trainer.step.row_partition import Part


class Crew(Protocol):
    def tell(self, order: Order) -> None:
        """The others do what the caller does next."""
        ...

    def open_reader(
        self, settings: Settings, bootstrap: str, topics: Sequence[str], start: Mapping[TopicPartition, int]
    ) -> Reader: ...

    def sharded(self, ppo: PPO) -> PPO:
        """This process's part of the restored learner."""
        ...

    def verdicts(self, group: OpenGroup) -> Iterable[ScoredTrajectory]:
        """The group's, by sample, with their tokens."""
        ...


class Alone:
    def tell(self, order: Order) -> None:
        """Nobody listens."""

    def open_reader(
        self, settings: Settings, bootstrap: str, topics: Sequence[str], start: Mapping[TopicPartition, int]
    ) -> Reader:
        return LogReader(settings.broker, bootstrap, topics, start)

    def sharded(self, ppo: PPO) -> PPO:
        return ppo

    def verdicts(self, group: OpenGroup) -> Iterable[ScoredTrajectory]:
        return group.trajectories()


class Lead:
    """Process 0 of a team. An interrupt is noticed between two orders, never within one."""

    def __init__(self, team: Team, settings: LearnerSettings) -> None:
        self.team = team
        self._settings = settings
        self.interrupted = False

    def tell(self, order: Order) -> None:
        self.team.order(order)

    def open_reader(
        self, settings: Settings, bootstrap: str, topics: Sequence[str], start: Mapping[TopicPartition, int]
    ) -> Reader:
        own = LogReader(settings.broker, bootstrap, topics, start, (0, self.team.size))
        return _TeamReader(self, own)

    def sharded(self, ppo: PPO) -> PPO:
        return shard(ppo, self._settings, self.team.mesh, part_of(self.team))

    def verdicts(self, group: OpenGroup) -> Iterable[ScoredTrajectory]:
        read = list(group.trajectories())
        if all(scored.rollout.segments for scored in read):  # from this process's own partitions
            return read
        self.tell(Fetch(group.seq))
        segments = {index: held for answer in self.team.answers({}) for index, held in answer.items()}
        return [with_segments(scored, segments) for scored in read]


class _TeamReader:
    """Invariant: as LogReader's; what `positions` says is of the last `poll`."""

    def __init__(self, lead: Lead, own: LogReader) -> None:
        self._lead = lead
        self._own = own
        self._positions: dict[TopicPartition, int] = {}

    def poll(self, timeout: float) -> list[Record]:
        if self._lead.interrupted:
            raise KeyboardInterrupt
        self._lead.tell(Poll(timeout))
        records = self._own.poll(timeout)
        shares: Sequence[Share] = self._lead.team.answers(Share(records, self._own.positions()))
        for share in shares:
            self._positions |= share.positions
        return [record for share in shares for record in share.records]

    def positions(self) -> dict[TopicPartition, int]:
        return dict(self._positions)

    def lag(self) -> dict[TopicPartition, int]:
        self._lead.tell(Lag())
        return {at: count for lag in self._lead.team.answers(self._own.lag()) for at, count in lag.items()}

    def close(self) -> None:
        self._own.close()
        self._lead.tell(Stop())


def part_of(team: Team) -> Part:
    return Part(team.rank, team.size, team.group)
