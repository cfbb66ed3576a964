"""Reads several partitions in the order of time, so that what belongs together is read at about the same time.

Invariant: a record is yielded after every record of the other partitions that has an earlier timestamp and was in the
log when the round began. In memory are at most `_AT_ONCE` records of each partition, and the client's last fetch of it
(`broker.max_message_bytes`).
"""

import time
from collections import deque
from collections.abc import Iterator

from kafka.errors import KafkaTimeoutError

from streams.clients import BrokerUnavailableError, LogReader
from streams.records import Record, TopicPartition

_AT_ONCE = 64
"""Records of a poll: enough that the cost of a poll does not count."""


class TimeOrder:
    """Not thread-safe."""

    def __init__(self, reader: LogReader, bootstrap: str, silent_seconds: float) -> None:
        """`silent_seconds`: a broker that sends nothing for so long, though records are due, is away."""
        self._reader = reader
        self._bootstrap = bootstrap
        self._silent_seconds = silent_seconds
        self._waiting: dict[TopicPartition, deque[Record]] = {}

    def positions(self) -> dict[TopicPartition, int]:
        """The next offset by partition that was not yielded."""
        return self._reader.positions() | {
            partition: records[0].offset for partition, records in self._waiting.items() if records
        }

    def await_records(self, seconds: float) -> bool:
        """Returns whether a record came within that time."""
        self._reader.hold(())
        return self._take(self._reader.poll(seconds, _AT_ONCE))

    def one_round(self) -> Iterator[Record]:
        """Yields what the log holds at the time of the call, and perhaps a few records more, earliest first.

        Raises BrokerUnavailableError if the broker is away.
        """
        try:
            ends = self._reader.end_offsets()
        except KafkaTimeoutError as error:
            raise BrokerUnavailableError(self._bootstrap, self._silent_seconds, str(error)) from error
        while True:
            self._fill(ends)
            heads = [records[0] for records in self._waiting.values() if records]
            if not heads:
                return
            yield self._waiting[min(heads, key=lambda record: record.timestamp).source].popleft()

    def _fill(self, ends: dict[TopicPartition, int]) -> None:
        """Polls until each partition has a record, or was read to its end."""
        silent_since = time.monotonic()
        while empty := [partition for partition in ends if not self._waiting.get(partition)]:
            positions = self._reader.positions()
            due = {partition for partition in empty if positions[partition] < ends[partition]}
            if not due:
                return
            self._reader.hold(ends.keys() - due)
            if self._take(self._reader.poll(max_records=_AT_ONCE)):
                silent_since = time.monotonic()
            elif time.monotonic() - silent_since > self._silent_seconds:
                reason = f"it sends nothing of {', '.join(f'{at.topic}[{at.partition}]' for at in sorted(due))}"
                raise BrokerUnavailableError(self._bootstrap, self._silent_seconds, reason)

    def _take(self, records: list[Record]) -> bool:
        for record in records:
            self._waiting.setdefault(record.source, deque()).append(record)
        return bool(records)
