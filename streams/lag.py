"""Measures how far a stage is behind, and detects a stage that has silently stopped.

Kafka consumers have been seen to stop without an error, mostly around rebalances. Only the log shows it: records stay
unread and the committed offsets do not move.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.metrics import metrics
from streams.records import TopicPartition


class StalledError(RuntimeError):
    """Records wait, and nothing is committed: the process has to be started again."""


@dataclass
class LagWatchdog:
    """Raises once there has been lag for `patience_seconds` while no batch was in work and no committable offset
    moved. A batch in work has a limit of its own (`workers.scoring.heartbeat`).
    """

    patience_seconds: float
    _positions: Mapping[TopicPartition, int] = field(default_factory=dict)
    _moved_at: float | None = None

    def observe(self, now: float, positions: Mapping[TopicPartition, int], lag: int, *, busy: bool) -> None:
        """`positions`: the next offset to commit by partition; `now`: time.monotonic(). Raises StalledError."""
        if self._moved_at is None or busy or lag == 0 or positions != self._positions:
            self._positions, self._moved_at = dict(positions), now
            return
        stalled = now - self._moved_at
        if stalled > self.patience_seconds:
            raise StalledError(
                f"{lag} records wait and nothing was committed for {stalled:.0f} s; next offsets: "
                + ", ".join(f"{topic}[{number}]@{offset}" for (topic, number), offset in sorted(positions.items()))
            )


def lag_of(positions: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Returns the number of records not yet done, by partition."""
    return {partition: max(0, ends.get(partition, position) - position) for partition, position in positions.items()}


def unread(lag: Mapping[TopicPartition, int], positions: Mapping[TopicPartition, int]) -> str | None:
    """Returns how many records wait and where the first of them are; None if none wait."""
    waiting = sorted(partition for partition, records in lag.items() if records)
    if not waiting:
        return None
    first = ", ".join(f"{topic}[{number}]@{positions[TopicPartition(topic, number)]}" for topic, number in waiting)
    return f"{sum(lag.values())} unread records, of which the first are {first}"


def publish_lag(stage: str, lag: Mapping[TopicPartition, int], oldest: float | None) -> None:
    """`oldest`: Unix seconds at which the oldest record in work was produced; None if none is in work."""
    by_topic: Counter[str] = Counter()
    for (topic, _), records in lag.items():
        by_topic[topic] += records
    for topic, records in by_topic.items():
        metrics.consumer_lag_messages.labels(stage, topic).set(records)
    metrics.consumer_lag_seconds.labels(stage).set(0 if oldest is None else max(0.0, time.time() - oldest))
