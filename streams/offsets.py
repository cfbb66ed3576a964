"""Decides which offsets may be committed: the ledger behind every commit of a Faust stage and of the rollout worker.

Invariant: the committable offset of a partition never passes a record that was not done, whatever the order in
which records get done, and never passes a record that was not delivered at all. The topics of the loop are
neither compacted nor transactional, so their offsets have no holes: a hole in the delivery means that records were
skipped, and commits stay in front of it until the partition is started again.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from streams.records import RecordPlace, TopicPartition

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Partition:
    next: int
    """The offset that has to be delivered next."""
    committed: int
    open: dict[int, float] = field(default_factory=dict)
    """Records delivered and not done: the time of production by offset."""
    skipped: bool = False
    """A record was skipped; records after it do not count."""

    def deliver(self, offset: int, timestamp: float) -> bool:
        """Returns False if records before `offset` were skipped."""
        if self.skipped or offset > self.next:
            self.skipped = True
            return False
        self.open.setdefault(offset, timestamp)
        self.next = max(self.next, offset + 1)
        return True

    @property
    def committable(self) -> int:
        return min(self.open, default=self.next)


def say_lost(partition: TopicPartition, start: int, end: int) -> None:
    """Says that the records from `start` to before `end` cannot be read any more."""
    log.error(
        "%s[%d]: the records %d to %d are gone from the log and were never read: retention passed them (raise "
        "topics.retention_hours), or a broker lost its disk. Groups that they belong to expire at their deadline",
        *partition,
        start,
        end - 1,
    )


class OffsetLedger:
    """Not thread-safe. Calls about a partition that was not started, or was dropped, have no effect."""

    def __init__(self) -> None:
        self._partitions: dict[TopicPartition, _Partition] = {}

    def __contains__(self, partition: TopicPartition) -> bool:
        """Whether the partition is started."""
        return partition in self._partitions

    def start(self, partition: TopicPartition, offset: int) -> None:
        """Delivery (re)starts at `offset`: every record from there on will be delivered again."""
        self._partitions[partition] = _Partition(offset, committed=offset)

    def drop(self, partitions: Iterable[TopicPartition]) -> None:
        """Forget partitions that were revoked: another member of the group reads them now."""
        for partition in partitions:
            self._partitions.pop(partition, None)

    def deliver(self, place: RecordPlace, timestamp: float) -> None:
        """A record was handed over, in the partition's order. `timestamp`: Unix seconds of its production."""
        state = self._partitions.get(place.partition)
        if state is None or state.skipped:
            return
        if not state.deliver(place.offset, timestamp):
            log.error(
                "%s[%d]: offset %d was delivered where %d was due; nothing is committed until it is read again",
                *place.partition,
                place.offset,
                state.next,
            )

    def due(self, partition: TopicPartition) -> int | None:
        """The offset that is to be delivered next; None for a partition not started."""
        state = self._partitions.get(partition)
        return None if state is None else state.next

    def done(self, place: RecordPlace) -> None:
        """The record's effects are in the log: the broker has acknowledged all of its outputs."""
        state = self._partitions.get(place.partition)
        if state is not None:
            state.open.pop(place.offset, None)

    def committable(self, partition: TopicPartition) -> int | None:
        """The offset to commit, which is the next to read after a restart; None for a partition not started."""
        state = self._partitions.get(partition)
        return None if state is None else state.committable

    def positions(self) -> dict[TopicPartition, int]:
        """The committable offset of every started partition."""
        return {partition: state.committable for partition, state in self._partitions.items()}

    def uncommitted(self) -> dict[TopicPartition, int]:
        """The committable offset of each partition in which it is above what was last noted as committed."""
        return {
            partition: state.committable
            for partition, state in self._partitions.items()
            if state.committable > state.committed
        }

    def committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Note that these offsets were committed."""
        for partition, offset in offsets.items():
            state = self._partitions.get(partition)
            if state is not None:
                state.committed = max(state.committed, offset)

    def oldest(self) -> float | None:
        """Unix seconds at which the oldest record in work was produced; None if no record is in work."""
        return min((time for state in self._partitions.values() for time in state.open.values()), default=None)
