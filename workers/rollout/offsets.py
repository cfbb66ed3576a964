"""Which offsets may be committed: the watermark of each partition.

Invariant: what is committable for a partition never exceeds the lowest offset that was read from it and is not done,
and only partitions that were not revoked since have one.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from streams.records import TopicPartition


class Place(NamedTuple):
    """Where a record lies."""

    source: TopicPartition
    offset: int


@dataclass(slots=True)
class _Partition:
    open: set[int] = field(default_factory=set)
    following: int = 0
    """The offset after the last one read."""
    committed: int = -1

    @property
    def watermark(self) -> int:
        return min(self.open, default=self.following)


class OffsetTracker:
    def __init__(self) -> None:
        self._partitions: dict[TopicPartition, _Partition] = {}

    def read(self, place: Place) -> None:
        partition = self._partitions.setdefault(place.source, _Partition())
        partition.open.add(place.offset)
        partition.following = max(partition.following, place.offset + 1)

    def done(self, place: Place) -> None:
        """Its effects are in the log. A place that was revoked meanwhile is someone else's business."""
        partition = self._partitions.get(place.source)
        if partition is not None:
            partition.open.discard(place.offset)

    def revoke(self, sources: set[TopicPartition]) -> None:
        """Forget partitions; after a new assignment they are read again from what is committed."""
        for source in sources:
            self._partitions.pop(source, None)

    def watermarks(self) -> dict[TopicPartition, int]:
        """The lowest offset not done, by partition read from."""
        return {source: partition.watermark for source, partition in self._partitions.items()}

    def committable(self) -> dict[TopicPartition, int]:
        """The next offset to read, for partitions where it moved since `committed`."""
        return {
            source: partition.watermark
            for source, partition in self._partitions.items()
            if partition.watermark > partition.committed
        }

    def committed(self, offsets: dict[TopicPartition, int]) -> None:
        for source, offset in offsets.items():
            partition = self._partitions.get(source)
            if partition is not None:
                partition.committed = max(partition.committed, offset)
