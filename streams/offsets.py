"""Which offset may be committed: the ledger behind every commit of a stage.

Invariant: the committable offset of a partition never passes a record that was not done, whatever the order in
which records get done, and never passes a record that was not delivered at all. The topics of the loop are
neither compacted nor transactional where stages read them, so their offsets have no holes: a hole in the
delivery means that records were skipped, and commits stay in front of it until the partition is started again.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from streams.records import TopicPartition

log = logging.getLogger(__name__)


@dataclass
class _Partition:
    next: int
    """The offset that has to be delivered next."""
    open: dict[int, float] = field(default_factory=dict)
    """Delivered and not done, with the time at which each was produced."""
    held: bool = False
    """A record was skipped: what came after it does not count."""

    def deliver(self, offset: int, timestamp: float) -> bool:
        if self.held or offset > self.next:
            self.held = True
            return False
        self.open.setdefault(offset, timestamp)
        self.next = max(self.next, offset + 1)
        return True

    @property
    def committable(self) -> int:
        return min(self.open, default=self.next)


class OffsetLedger:
    """Used from one thread, the event loop's."""

    def __init__(self) -> None:
        self._partitions: dict[TopicPartition, _Partition] = {}

    def start(self, partition: TopicPartition, offset: int) -> None:
        """Delivery (re)starts at `offset`: everything from there on will be delivered again."""
        self._partitions[partition] = _Partition(offset)

    def drop(self, partitions: Iterable[TopicPartition]) -> None:
        """The partitions belong to someone else now."""
        for partition in partitions:
            self._partitions.pop(partition, None)

    def deliver(self, partition: TopicPartition, offset: int, timestamp: float) -> None:
        """A record was handed over, in the partition's order. `timestamp`: Unix seconds of its production."""
        state = self._partitions.get(partition)
        if state is None or state.held:
            return
        if not state.deliver(offset, timestamp):
            log.error(
                "%s[%d]: offset %d was delivered where %d was due; nothing is committed until it is read again",
                *partition,
                offset,
                state.next,
            )

    def done(self, partition: TopicPartition, offset: int) -> None:
        """The record's outputs are acknowledged."""
        state = self._partitions.get(partition)
        if state is not None:
            state.open.pop(offset, None)

    def committable(self, partition: TopicPartition) -> int | None:
        """The offset to commit, which is the next to read after a restart; None for a partition not started."""
        state = self._partitions.get(partition)
        return None if state is None else state.committable

    def positions(self) -> dict[TopicPartition, int]:
        """The committable offset of every started partition."""
        return {partition: state.committable for partition, state in self._partitions.items()}

    def oldest(self) -> float | None:
        """When the oldest record in work was produced, Unix seconds; None where none is."""
        return min((time for state in self._partitions.values() for time in state.open.values()), default=None)
